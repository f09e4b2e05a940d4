"""What moves is told from noise, from leaves and from lamps, by the source's clock alone."""

import functools

import cv2
import numpy as np
import pytest

from face_app.common.settings import Gate
from face_app.edge.vision.motion import MEMORY, NOISE_MEMORY, STALE, Motion

STEP = 0.2
"""Seconds between two frames."""


@functools.cache
def room(size=(320, 180), brightness=150):
    """A still scene with some structure; nobody writes into it."""
    across, down = np.meshgrid(np.linspace(0, 12, size[0]), np.linspace(0, 9, size[1]))
    grey = brightness * (0.8 + 0.2 * np.sin(across) * np.cos(down))
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def motion():
    return Motion(Gate().area)


def moves(watch, frames, begin=0.0, step=STEP):
    """In which of the frames something moves."""
    return [watch.moves(frame, begin + number * step) for number, frame in enumerate(frames)]


def person(x, scene):
    image = scene.copy()
    height = image.shape[0]
    cv2.ellipse(image, (x, height // 2), (height // 12, height // 9), 0, 0, 360, (90, 110, 140), -1)
    cv2.rectangle(image, (x - height // 6, height * 2 // 3), (x + height // 6, height), (60, 40, 40), -1)
    return image


def test_the_first_frame_moves_and_a_still_one_after_it_does_not():
    assert moves(motion(), [room()] * 10) == [True] + [False] * 9


def test_the_noise_of_a_dim_room_is_no_motion():
    chance = np.random.default_rng(1)
    dark = room((640, 360), brightness=45)
    frames = [np.clip(dark + chance.normal(0, 9, dark.shape), 0, 255).astype(np.uint8) for _ in range(25)]
    assert not any(moves(motion(), frames)[1:])


def test_a_person_who_crosses_a_dim_and_noisy_room_moves():
    chance = np.random.default_rng(1)
    dark = room((640, 360), brightness=60)
    frames = [dark] * 5 + [person(x, dark) for x in range(60, 600, 30)]
    noisy = [np.clip(each + chance.normal(0, 6, dark.shape), 0, 255).astype(np.uint8) for each in frames]
    told = moves(motion(), noisy)
    assert not any(told[1:5])
    assert all(told[6:])


def test_one_who_comes_and_stays_is_soon_part_of_the_room():
    told = moves(motion(), [room()] * 3 + [person(100, room())] * round(6 * MEMORY / STEP))
    assert told[3]
    assert not any(told[-5:])


def leaves(count, seed=2, most=24):
    """A corner in which it never rests, by so many grey levels."""
    chance = np.random.default_rng(seed)
    for _ in range(count):
        image = room().copy()
        # Patches of several pixels, or they would be averaged out.
        image[:60, :80] += np.kron(chance.integers(0, most, (6, 8), np.uint8), np.ones((10, 10), np.uint8))[..., None]
        yield image


def test_leaves_that_move_all_day_become_noise_and_a_person_is_still_seen():
    watch = motion()
    count = round(4 * NOISE_MEMORY / STEP)
    told = moves(watch, leaves(count))
    assert all(told[:10])
    assert sum(told[-100:]) < 5
    (frame,) = leaves(1, seed=3)
    assert watch.moves(person(200, frame), count * STEP)


def test_where_much_changes_all_day_it_counts_all_day():
    """A pavement full of people must not become noise itself."""
    told = moves(motion(), leaves(round(4 * NOISE_MEMORY / STEP), most=100))
    assert all(told)


def test_a_lamp_is_one_change():
    told = moves(motion(), [room()] * 5 + [room(brightness=60)] * 5 + [room()] * 5)
    assert [number for number, moved in enumerate(told) if moved] == [0, 5, 10]


def test_after_a_change_of_size_there_is_nothing_to_compare_with():
    small, large = room((320, 180)), room((640, 360))
    assert moves(motion(), [small, small, large, large, small, small]) == [True, False] * 3


def test_after_a_gap_in_time_there_is_nothing_to_compare_with():
    watch = motion()
    moves(watch, [room()] * 5)
    assert watch.moves(room(), 5 * STEP + 1.1 * STALE)


def test_a_camera_of_one_frame_in_two_seconds_is_compared():
    told = moves(motion(), [room()] * 10, step=2.0)
    assert told == [True, True] + [False] * 8


def test_the_same_moment_twice_is_compared_too():
    watch = motion()
    watch.moves(room(), 1.0)
    assert not watch.moves(room(), 1.0)
    assert watch.moves(person(100, room()), 1.0)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2000), (2000, 1), (333, 77)])
def test_frames_of_any_size(size):
    black = np.zeros((size[1], size[0], 3), np.uint8)
    assert moves(motion(), [black, black, black + 255]) == [True, False, True]
