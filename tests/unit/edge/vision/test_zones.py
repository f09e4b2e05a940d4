"""Privacy zones are black; faces count only inside the detection zones."""

import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.vision.zones import Zones

WHOLE = [(0, 0), (1, 0), (1, 1), (0, 1)]
LEFT = [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]


def grey(width, height):
    return np.full((height, width, 3), 200, np.uint8)


def blackened(image, *privacy):
    Zones(settings.Zones(privacy=list(privacy))).blacken(image)
    return (image == 0).all(axis=2)


def around(x, y):
    return (x - 5.0, y - 5.0, x + 5.0, y + 5.0)


def test_without_zones_the_frame_is_unchanged_and_every_face_counts():
    image = grey(100, 50)
    assert not blackened(image).any()
    assert Zones(settings.Zones()).contains(around(3, 3), image)


@pytest.mark.parametrize("size", [(100, 50), (1920, 1080), (37, 91)])
def test_a_privacy_zone_is_black_in_frames_of_any_size(size):
    black = blackened(grey(*size), LEFT)
    middle = size[0] // 2
    assert black[:, : middle - 1].all()
    assert not black[:, middle + 1 :].any()


def test_a_zone_of_the_whole_frame_leaves_no_line_at_the_edge():
    for size in [(1, 1), (1, 9), (9, 1), (2, 2), (100, 100), (1280, 720)]:
        assert blackened(grey(*size), WHOLE).all()


def test_overlapping_zones_are_black_in_the_overlap():
    one, other = [(0, 0), (0.6, 0), (0.6, 0.6), (0, 0.6)], [(0.4, 0.4), (1, 0.4), (1, 1), (0.4, 1)]
    black = blackened(grey(101, 101), one, other)
    assert black[:60, :60].all()
    assert black[41:, 41:].all()
    assert not black[80, 20]
    assert blackened(grey(101, 101), one, one)[:60, :60].all()


def test_a_zone_that_crosses_itself_is_black_in_the_overlap():
    star = [(0.5, 0.0), (0.8, 0.95), (0.02, 0.36), (0.98, 0.36), (0.2, 0.95)]
    for size in [(101, 101), (640, 360)]:
        black = blackened(grey(*size), star)
        assert black[size[1] // 2, size[0] // 2], "the overlap"
        assert black[size[1] // 8, size[0] // 2], "the top"
        assert not black[-1, size[0] // 2]
        assert not black[size[1] // 8, size[0] // 8]


def test_zones_follow_a_change_of_the_frame_size():
    zones = Zones(settings.Zones(privacy=[LEFT]))
    for size in [(100, 50), (37, 91), (100, 50)]:
        image = grey(*size)
        zones.blacken(image)
        assert not image[:, : size[0] // 2 - 1].any()
        assert image[:, size[0] // 2 + 1 :].all()


def test_a_triangle_is_black_only_inside():
    black = blackened(grey(101, 101), [(0, 0), (1, 0), (0, 1)])
    assert black[10, 10]
    assert not black[90, 90]


@pytest.mark.parametrize("size", [(100, 100), (640, 360)])
def test_a_face_counts_if_its_centre_lies_in_a_detection_zone(size):
    image = grey(*size)
    zones = Zones(settings.Zones(detect=[LEFT, [(0.8, 0.8), (1, 0.8), (1, 1), (0.8, 1)]]))
    assert zones.contains(around(0.2 * size[0], 0.5 * size[1]), image)
    assert not zones.contains(around(0.7 * size[0], 0.5 * size[1]), image)
    assert zones.contains(around(0.9 * size[0], 0.9 * size[1]), image)
    assert zones.contains((0.2 * size[0], 0, 0.7 * size[0], size[1]), image), "only its centre counts"


def test_a_zone_of_the_whole_frame_contains_faces_at_its_edges():
    image = grey(100, 100)
    zones = Zones(settings.Zones(detect=[WHOLE]))
    for box in [(0, 0, 3, 3), (97, 97, 100, 100), (0, 0, 100, 100)]:
        assert zones.contains(box, image)


def test_accepts_a_frame_of_one_pixel():
    assert Zones(settings.Zones(detect=[WHOLE])).contains((0, 0, 1, 1), grey(1, 1))
