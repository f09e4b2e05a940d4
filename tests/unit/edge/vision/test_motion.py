"""Motion is separated from noise, leaves and lamps, by the source's clock alone."""

import functools

import cv2
import numpy as np
import pytest

from face_app.common.settings import Gate
from face_app.edge.vision.motion import BACKGROUND_SECONDS, NOISE_SECONDS, STALE_SECONDS, MotionDetector, thumbnail

STEP = 0.2
"""Seconds between two frames."""


@functools.cache
def room(size=(320, 180), brightness=150):
    """Return a still scene with some structure; do not write into it."""
    across, down = np.meshgrid(np.linspace(0, 12, size[0]), np.linspace(0, 9, size[1]))
    grey = brightness * (0.8 + 0.2 * np.sin(across) * np.cos(down))
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def detector():
    return MotionDetector(Gate().area)


def moving(motion, frames, begin=0.0, step=STEP):
    """Return for each frame whether it shows motion."""
    return [motion.update(thumbnail(frame), begin + number * step) for number, frame in enumerate(frames)]


def person(x, scene):
    image = scene.copy()
    height = image.shape[0]
    cv2.ellipse(image, (x, height // 2), (height // 12, height // 9), 0, 0, 360, (90, 110, 140), -1)
    cv2.rectangle(image, (x - height // 6, height * 2 // 3), (x + height // 6, height), (60, 40, 40), -1)
    return image


def test_the_first_frame_shows_motion_and_still_ones_do_not():
    assert moving(detector(), [room()] * 10) == [True] + [False] * 9


def test_the_noise_of_a_dim_room_is_no_motion():
    chance = np.random.default_rng(1)
    dark = room((640, 360), brightness=45)
    frames = [np.clip(dark + chance.normal(0, 9, dark.shape), 0, 255).astype(np.uint8) for _ in range(25)]
    assert not any(moving(detector(), frames)[1:])


def test_detects_a_person_who_crosses_a_dim_and_noisy_room():
    chance = np.random.default_rng(1)
    dark = room((640, 360), brightness=60)
    frames = [dark] * 5 + [person(x, dark) for x in range(60, 600, 30)]
    noisy = [np.clip(each + chance.normal(0, 6, dark.shape), 0, 255).astype(np.uint8) for each in frames]
    result = moving(detector(), noisy)
    assert not any(result[1:5])
    assert all(result[6:])


def test_a_person_who_stays_becomes_background():
    result = moving(detector(), [room()] * 3 + [person(100, room())] * round(6 * BACKGROUND_SECONDS / STEP))
    assert result[3]
    assert not any(result[-5:])


def leaves(count, seed=2, most=24):
    """Yield frames with a corner that changes all the time, by up to `most` grey levels."""
    chance = np.random.default_rng(seed)
    for _ in range(count):
        image = room().copy()
        # Patches of several pixels, or they would be averaged out.
        image[:60, :80] += np.kron(chance.integers(0, most, (6, 8), np.uint8), np.ones((10, 10), np.uint8))[..., None]
        yield image


def test_leaves_become_noise_and_a_person_is_still_detected():
    motion = detector()
    count = round(4 * NOISE_SECONDS / STEP)
    result = moving(motion, leaves(count))
    assert all(result[:10])
    assert sum(result[-100:]) < 5
    (frame,) = leaves(1, seed=3)
    assert motion.update(thumbnail(person(200, frame)), count * STEP)


def test_large_changes_never_become_noise():
    """A pavement full of people must not become noise itself."""
    result = moving(detector(), leaves(round(4 * NOISE_SECONDS / STEP), most=100))
    assert all(result)


def test_a_lamp_is_one_change():
    result = moving(detector(), [room()] * 5 + [room(brightness=60)] * 5 + [room()] * 5)
    assert [number for number, moved in enumerate(result) if moved] == [0, 5, 10]


def test_a_new_size_counts_as_detector():
    small, large = room((320, 180)), room((640, 360))
    assert moving(detector(), [small, small, large, large, small, small]) == [True, False] * 3


def test_a_frame_after_a_gap_counts_as_detector():
    motion = detector()
    moving(motion, [room()] * 5)
    assert motion.update(thumbnail(room()), 5 * STEP + 1.1 * STALE_SECONDS)


def test_compares_frames_two_seconds_apart():
    result = moving(detector(), [room()] * 10, step=2.0)
    assert result == [True, True] + [False] * 8


def test_compares_two_frames_of_one_moment():
    motion = detector()
    motion.update(thumbnail(room()), 1.0)
    assert not motion.update(thumbnail(room()), 1.0)
    assert motion.update(thumbnail(person(100, room())), 1.0)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2000), (2000, 1), (333, 77)])
def test_accepts_frames_of_any_size(size):
    black = np.zeros((size[1], size[0], 3), np.uint8)
    assert moving(detector(), [black, black, black + 255]) == [True, False, True]
