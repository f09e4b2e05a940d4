"""Found boxes match labelled boxes."""

from bench.eyes.match import match


def test_the_surest_box_takes_its_largest_overlap_and_no_face_twice():
    labelled = [(0, 0, 10, 10), (6, 0, 16, 10)]
    assert match([(5, 0, 15, 10), (4, 0, 14, 10)], labelled) == [1, 0]
    assert match([(0, 0, 10, 10), (0, 0, 10, 10), (0, 0, 10, 10)], labelled[:1]) == [0, None, None]


def test_a_box_that_overlaps_too_little_takes_nothing_away():
    assert match([(8, 0, 18, 10), (1, 0, 11, 10)], [(0, 0, 10, 10)]) == [None, 0]
    assert match([(0, 0, 10, 10)], []) == [None]
