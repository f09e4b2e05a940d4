"""The camera's own motion is separated from persons, lamps, flashes and cuts."""

import cv2
import numpy as np
import pytest

from face_app.edge.vision.camera_motion import MAX_WITHHELD_SECONDS, CameraMotionDetector
from face_app.edge.vision.motion import thumbnail

STEP = 0.125
SIZE = (640, 360)


def scene(seed=0, size=(1000, 700)):
    coarse = np.random.default_rng(seed).integers(40, 220, (size[1] // 25, size[0] // 25, 3), np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def view(x=180, y=170, seed=0):
    return scene(seed)[y : y + SIZE[1], x : x + SIZE[0]].copy()


def person(x, image=None, size=60):
    """Return a view with a person, half as wide as `size`."""
    image = view() if image is None else image
    body = scene(9, (2 * size, 4 * size))
    left = max(0, x - size)
    shown = body[:, : image.shape[1] - left][: image.shape[0]]
    image[image.shape[0] - shown.shape[0] :, left : left + shown.shape[1]] = shown
    return image


def motions(images, step=STEP):
    detector = CameraMotionDetector()
    return [detector.update(thumbnail(image), number * step) for number, image in enumerate(images)]


def kinds(images, step=STEP):
    return [each.kind for each in motions(images, step)]


@pytest.mark.parametrize(("dx", "dy"), [(12, 0), (-36, 20), (70, -40)])
def test_measures_a_shift(dx, dy):
    *_, motion = motions([view(), view(180 - dx, 170 - dy)])
    assert motion.kind == "shift"
    assert (motion.dx, motion.dy) == pytest.approx((dx, dy), abs=2)


def test_a_still_camera_has_no_shift():
    chance = np.random.default_rng(1)
    noisy = [np.clip(view() + chance.normal(0, 6, (360, 640, 3)), 0, 255).astype(np.uint8) for _ in range(4)]
    assert all((each.kind, each.dx, each.dy) == ("shift", 0, 0) for each in motions(noisy))


def test_a_person_who_walks_is_no_shift():
    assert all((each.dx, each.dy) == (0, 0) for each in motions([person(x) for x in range(80, 500, 40)]))


def test_a_flash_is_one_withheld_frame():
    white = np.full_like(view(), 255)
    assert kinds([view(), white, view(), view()]) == ["shift", "transient", "shift", "shift"]


@pytest.mark.parametrize("level", [0, 128, 255], ids=["black", "grey", "white"])
def test_a_plain_picture_is_no_cut_however_long_it_lasts(level):
    plain = [np.full_like(view(), level)] * 20
    assert kinds([view(), *plain, *[view()] * 3]) == ["shift", "transient", *["plain"] * 8, *["shift"] * 14]


def test_a_shift_is_relative_to_the_picture_before_a_plain_one():
    *_, motion = motions([view(), *[np.full_like(view(), 0)] * 4, view(180 - 12)])
    assert motion.dx == pytest.approx(12, abs=2)


def test_a_plain_van_that_fills_the_picture_is_no_cut():
    van = view()
    van[30:, 90:] = 200
    assert not {"cut", "late-cut"} & set(kinds([view(), *[van] * 4, view()]))


def test_another_scene_after_a_plain_picture_is_a_cut():
    plain = [np.full_like(view(), 0)] * 3
    assert "cut" in kinds([view(), *plain, *[view(seed=1)] * 3])


def test_a_cut_to_a_plainer_scene_is_a_cut():
    plainer = np.full_like(view(), 150)
    plainer[180:, 300:] = view(seed=1)[180:, 300:]
    assert "late-cut" in kinds([view(), *[plainer] * 3])


def test_a_cut_withholds_one_frame():
    assert kinds([view(), view(seed=1), view(seed=1), view(seed=1)]) == ["shift", "transient", "late-cut", "shift"]


def test_after_a_late_cut_a_frame_is_compared_with_the_withheld_one():
    detector = CameraMotionDetector()
    for number, seed in enumerate((0, 1)):
        detector.update(thumbnail(view(seed=seed)), number * STEP)
    second, third = thumbnail(view(180 - 12, seed=1)), thumbnail(view(seed=2))
    assert detector.update(second, 2 * STEP).kind == "late-cut"
    assert detector.update(second, 2 * STEP).dx == pytest.approx(12, abs=2)
    assert [detector.update(third, at * STEP).kind for at in (3, 4, 4)] == ["transient", "late-cut", "shift"]


def test_withholds_nothing_after_a_cut_until_a_scene_lasts():
    assert kinds([view(seed=seed) for seed in range(5)]) == ["shift", "transient", "late-cut", "cut", "cut"]


def test_a_slow_camera_withholds_nothing():
    assert kinds([view(), view(seed=1), view()], step=2 * MAX_WITHHELD_SECONDS) == ["shift", "cut", "cut"]


def test_withholds_a_flash_after_skipped_frames():
    detector = CameraMotionDetector()
    detector.update(thumbnail(view()), 0)
    for number in range(1, 20):
        detector.skip(number * 0.2)
    assert detector.update(thumbnail(np.full_like(view(), 255)), 4.0).kind == "transient"


def test_a_lamp_is_no_cut():
    light = np.linspace(0.25, 1.0, SIZE[0])[None, :, None]
    lit, dark = view(), (view() * light * 0.5 + 5).astype(np.uint8)
    assert kinds([dark, lit, lit, dark, dark]) == ["shift"] * 5


@pytest.mark.parametrize("step", [STEP, 2.0])
def test_a_person_who_fills_the_picture_is_no_cut(step):
    near = [person(x, size=240) for x in (300, 320, 340)]
    assert kinds([view(), *near, view()], step) == ["shift"] * 5


def test_an_opened_door_is_no_cut():
    opened = view()
    opened[:, :300] = view(seed=3)[:, :300]
    assert kinds([view(), opened, opened]) == ["shift"] * 3


def test_plain_walls_are_not_compared():
    plain = [np.full((360, 640, 3), level, np.uint8) for level in (0, 255, 90)]
    assert kinds(plain) == ["shift"] * 3


def test_another_size_is_a_cut_at_once():
    assert kinds([view(), cv2.resize(view(), (320, 180))]) == ["shift", "cut"]


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (40, 40), (333, 77)])
def test_accepts_frames_of_any_size(size):
    chance = np.random.default_rng(2)
    noise = chance.integers(0, 256, (6, size[1], size[0], 3), np.uint8)
    assert len(kinds(list(noise))) == 6
