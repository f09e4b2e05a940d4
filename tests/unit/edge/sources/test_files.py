"""Files are played completely, in order, at their pace, once or in a loop."""

import errno
import os
import subprocess
import sys
import threading
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.image import set_up_opencv
from face_app.edge.metrics import SKIPPED
from face_app.edge.sources.files import GAP_SECONDS
from face_app.edge.sources.open_source import open_source
from support.clips import RATE, drawn, photo, write_clip

set_up_opencv()


def shades(*values):
    return [np.full((48, 64, 3), value, np.uint8) for value in values]


def shade(frame):
    return round(float(frame.image.mean()) / 10) * 10


def frames(path, *, stop=None, **camera):
    camera = {"pace": "fast", **camera}
    with open_source(settings.Camera(source=str(path), **camera), stop or threading.Event()) as source:
        yield from source


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.avi", shades(*range(10, 110, 10)))


def test_yields_every_frame_of_a_clip_on_its_own_clock(clip):
    played = list(frames(clip))
    assert [shade(frame) for frame in played] == list(range(10, 110, 10))
    assert [frame.index for frame in played] == list(range(10))
    assert [frame.elapsed for frame in played] == pytest.approx([index / RATE for index in range(10)])
    assert all(frame.captured_at.tzinfo for frame in played)
    assert played[0].image.dtype == np.uint8


def test_reports_the_length(clip):
    with open_source(settings.Camera(source=str(clip)), threading.Event()) as source:
        assert source.length == 10
        assert not source.live


@pytest.mark.parametrize(("pace", "least", "most"), [("source", 0.45, 3), ("fast", 0, 0.3)])
def test_plays_at_the_pace_that_is_set(clip, pace, least, most):
    def seconds():
        started = time.monotonic()
        assert len(list(frames(clip, pace=pace))) == 10
        return time.monotonic() - started

    # A busy machine slows some of them, never all.
    taken = [seconds() for _ in range(5)]
    assert least <= min(taken) < most


def test_a_slow_program_misses_no_frame_and_the_pace_stays(clip):
    times = []
    for frame in frames(clip, pace="source"):
        times.append(time.monotonic())
        if frame.index == 2:
            time.sleep(0.4)
    assert len(times) == 10
    assert times[9] - times[3] > 3 / RATE  # six frames; at once, if the frames caught up


@pytest.mark.parametrize("pace", ["fast", "source"])
def test_counts_and_skips_the_frames_within_the_interval(clip, pace):
    before = SKIPPED._value.get()
    with open_source(settings.Camera(source=str(clip), pace=pace), threading.Event()) as source:
        source.interval = 3 / RATE
        frames = list(source)
        assert source.interval == 3 / RATE
    assert [frame.index for frame in frames] == [0, 3, 6, 9]
    assert [shade(frame) for frame in frames] == [10, 40, 70, 100]
    assert frames[-1].elapsed == pytest.approx(9 / RATE)
    assert source.count == 10
    assert SKIPPED._value.get() - before == 6


def test_a_new_interval_applies_at_once(clip):
    indexes = []
    with open_source(settings.Camera(source=str(clip), pace="fast"), threading.Event()) as source:
        for frame in source:
            indexes.append(frame.index)
            source.interval = 0.0 if frame.index >= 6 else 3 / RATE
    assert indexes == [0, 3, 6, 7, 8, 9]


def test_a_loop_continues_count_and_clock(clip):
    played = list(islice(frames(clip, loop=True), 25))
    assert [frame.index for frame in played] == list(range(25))
    expected = [index % 10 / RATE + index // 10 * (9 / RATE + GAP_SECONDS) for index in range(25)]
    assert [frame.elapsed for frame in played] == pytest.approx(expected)
    assert shade(played[10]) == 10


def test_stop_ends_a_loop_between_two_frames(clip):
    stop = threading.Event()
    count = 0
    for _ in frames(clip, loop=True, pace="source", stop=stop):
        count += 1
        if count == 12:
            stop.set()
    assert count == 12


def test_plays_a_folder_in_order_of_names_and_skips_broken_files(tmp_path, caplog):
    write_clip(tmp_path / "b.avi", shades(100, 110))
    for name, value in (("a.png", 50), ("c.JPG", 150)):
        cv2.imwrite(str(tmp_path / name), shades(value)[0])
    (tmp_path / "d.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "e.jpg").write_bytes(b"no picture")
    (tmp_path / "f.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("never opened")
    played = list(frames(tmp_path, pace="source"))
    assert [shade(frame) for frame in played] == [50, 100, 110, 150]
    assert [frame.index for frame in played] == [0, 1, 2, 3]
    for name in ("d.mp4", "e.jpg", "f.png"):
        assert any(name in record.message for record in caplog.records)
    assert "notes.txt" not in caplog.text


def test_reports_once_what_it_skips_in_a_folder(tmp_path, caplog):
    names = ["a.HEIC", "b.heic", "c.txt", "README", "d.h\udce9ic", ".hidden"]
    for name in names:
        (tmp_path / name).write_bytes(b"never opened")
    (tmp_path / "more").mkdir()
    cv2.imwrite(str(tmp_path / "one.png"), shades(50)[0])
    assert len(list(islice(frames(tmp_path, loop=True), 3))) == 3
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"{tmp_path}: skipped by suffix: " in record.message
    for part in ("2 .heic", "1 .txt", "2 without suffix", r"1 .h\xe9ic", "1 folder", "convert pictures to JPEG"):
        assert part in record.message


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".avif"])
def test_plays_every_picture_in_a_folder_that_plays_alone(tmp_path, suffix, caplog):
    form = ".avif" if suffix == ".avif" else ".jpg"
    if not cv2.haveImageWriter(f"a{form}"):
        pytest.skip("this OpenCV has no AVIF")
    (tmp_path / f"one{suffix}").write_bytes(cv2.imencode(form, shades(70)[0])[1].tobytes())
    (frame,) = frames(tmp_path)
    assert shade(frame) == 70
    assert not caplog.records


def write_with_steps(path, seconds):
    """Write a video with a frame at each of these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for value, moment in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(shades(20 + 20 * value)[0], "bgr24")
            frame.pts = round(moment * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("pace", ["fast", "source"])
def test_passes_over_a_jump_of_the_timestamps(tmp_path, caplog, pace):
    path = write_with_steps(tmp_path / "jump.mkv", [0, 0.05, 3600, 3600.05, 7200])
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    played = list(frames(path, pace=pace, stop=stop))
    timer.cancel()
    assert [shade(frame) for frame in played] == [20, 40, 60, 80, 100]
    assert np.diff([frame.elapsed for frame in played]) == pytest.approx([0.05, GAP_SECONDS, 0.05, GAP_SECONDS])
    assert caplog.text.count("no frame for 3600 s after second 0; played without this pause") == 1


def write_h264(path, **options):
    """Write a video of a face that moves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for value in range(20):
            image = drawn((150 + value, 120, 40), size=(640, 480))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode(None))
    return path


INTERLACED = {"flags": "+ilme+ildct", "x264-params": "tff=1"}


def test_refuses_interlaced_video_in_one_line(tmp_path, caplog):
    path = write_h264(tmp_path / "interlaced.mp4", **INTERLACED)
    with pytest.raises(SourceError, match=r"interlaced\.mp4: no frame in it can be decoded"):
        list(frames(path))
    assert "pictures are blank, each pixel is 0" in caplog.text


def test_never_gives_a_picture_of_another_file(tmp_path, caplog):
    """OpenCV cannot convert interlaced video, and returns what its memory held before, such as an earlier picture."""
    write_h264(tmp_path / "a.mp4")
    write_h264(tmp_path / "b.mp4", **INTERLACED)
    with open_source(settings.Camera(source=str(tmp_path), pace="fast", loop=True), threading.Event()) as source:
        played = list(islice(source, 60))
    assert [frame.index % 40 for frame in played] == [*range(20)] * 3
    assert "b.mp4: no frame in it can be decoded" in caplog.text
    assert "a.mp4" not in caplog.text


def test_waits_for_a_slow_clip(tmp_path):
    started = time.monotonic()
    assert len(list(frames(write_with_steps(tmp_path / "slow.mkv", [0, 1.5]), pace="source"))) == 2
    assert time.monotonic() - started > 1.4


def test_pictures_are_further_apart_than_a_lost_track_lives(tmp_path):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), shades(50)[0])
    first, second = frames(tmp_path)
    assert second.elapsed - first.elapsed > 1.0


def test_a_looped_picture_is_shown_for_two_seconds(tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), shades(70)[0])
    played = frames(tmp_path / "one.png", loop=True, pace="source")
    first, first_at = next(played), time.monotonic()
    second, second_at = next(played), time.monotonic()
    played.close()
    assert second.elapsed - first.elapsed == 2
    assert second_at - first_at > 1.9


def test_plays_one_picture(tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), shades(70)[0])
    (frame,) = frames(tmp_path / "one.png")
    assert shade(frame) == 70


@pytest.mark.parametrize("name", ["broken.mp4", "broken.jpg", "broken"])
def test_refuses_an_undecodable_file_in_one_line(tmp_path, name, capfd):
    (tmp_path / name).write_bytes(b"\0\1\2" * 1000)
    with pytest.raises(SourceError, match=f"{name}: cannot be decoded") as failed:
        list(frames(tmp_path / name))
    assert "\n" not in str(failed.value)
    assert capfd.readouterr().err == ""


def test_refuses_a_video_without_a_frame(tmp_path, clip):
    (tmp_path / "cut.avi").write_bytes(clip.read_bytes()[:5000])
    with pytest.raises(SourceError, match=r"cut\.avi"):
        list(frames(tmp_path / "cut.avi"))


def test_plays_a_cut_clip_to_its_cut(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (10, 240, 320, 3), np.uint8)
    whole = write_clip(tmp_path / "whole.avi", list(noise)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 2 // 3])
    assert 0 < len(list(frames(tmp_path / "cut.avi"))) < 10


@pytest.mark.parametrize("content", [{}, {"a.txt": b"text"}])
def test_refuses_a_folder_without_playable_files(tmp_path, content):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match="has no video and no picture"):
        list(frames(tmp_path))


PLAY = """
import sys, threading
from pathlib import Path
from face_app.common import settings
from face_app.edge.sources.files import FileSource

with FileSource(Path(sys.argv[1]), settings.Camera(pace="fast"), threading.Event()) as source:
    print(source.length, len(list(source)))
"""


@pytest.mark.parametrize("alone", [False, True], ids=["in a folder", "alone"])
@pytest.mark.parametrize("name", [b"caf\xe9.avi", b"caf\xe9.png", b"a\nb.avi", b"\xff.mp4"])
def test_plays_any_file_name(tmp_path, clip, name, alone):
    """A native library may crash, so another process plays."""
    file = os.fsencode(tmp_path) + b"/clips/" + name
    (tmp_path / "clips").mkdir()
    if name.endswith(b"png"):
        photo(tmp_path / "photo.png").rename(os.fsdecode(file))
    else:
        clip.rename(os.fsdecode(file))
    command = [sys.executable, "-c", PLAY, file if alone else tmp_path / "clips"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("1 1\n" if name.endswith(b"png") else "10 10\n", 0)


def test_escapes_a_broken_file_name_in_the_log(tmp_path, caplog):
    write_clip(tmp_path / "a.avi", shades(50))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.avi")).write_bytes(b"no video")
    assert len(list(frames(tmp_path))) == 1
    assert r"caf\xe9\n.avi: cannot be decoded" in caplog.text


def test_a_name_with_a_colon_is_no_url(tmp_path, clip, monkeypatch):
    clip.rename(tmp_path / "a:b.avi")
    monkeypatch.chdir(tmp_path)
    assert len(list(frames("a:b.avi"))) == 10


def test_plays_a_folder_in_which_no_other_file_can_be_examined(tmp_path, clip, monkeypatch, caplog):
    """The folder can be listed, and not searched."""
    (tmp_path / "notes.txt").write_text("")

    def refuse(_path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert len(list(frames(tmp_path))) == 10
    assert "skipped by suffix: 1 .txt" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_refuses_an_unreadable_folder(tmp_path):
    tmp_path.chmod(0o300)
    with pytest.raises(SourceError, match="Permission denied; give uid"):
        list(frames(tmp_path))
