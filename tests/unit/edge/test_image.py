"""Boxes are clamped to the frame; the overlap is the intersection over union."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.edge.image import clamp, iou

number = st.floats(-1e6, 1e6, width=32)


@given(st.tuples(number, number, number, number), st.integers(1, 4000), st.integers(1, 4000))
def test_a_clamped_box_is_inside_and_ordered(corners, width, height):
    x1, y1, x2, y2 = corners
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    left, top, right, bottom = clamp(box, width, height)
    assert 0 <= left <= right <= width
    assert 0 <= top <= bottom <= height


@pytest.mark.parametrize(
    ("other", "value"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 10), 1 / 3),
        ((10, 0, 20, 10), 0.0),
        ((-20, -20, -10, -10), 0.0),
        ((2, 2, 4, 4), 0.04),
    ],
)
def test_overlap_is_the_intersection_over_union(other, value):
    assert iou((0, 0, 10, 10), other) == pytest.approx(value)
    assert iou(other, (0, 0, 10, 10)) == pytest.approx(value)
