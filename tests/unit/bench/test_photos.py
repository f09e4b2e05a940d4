"""Recall counts the faces of a kind; precision counts any labelled face as right."""

from pathlib import Path

import pytest

from bench.eyes.photos import Photo, PhotoSet, score

BARE, MASKED, SMALL = (0, 0, 30, 40), (100, 0, 140, 40), (200, 0, 215, 40)


@pytest.fixture
def photos():
    return [
        Photo(Path("one.jpg"), [(BARE, "no_mask"), (MASKED, "mask"), (SMALL, "no_mask")]),
        Photo(Path("two.jpg"), [(BARE, "no_mask")]),
    ]


def test_a_masked_or_small_face_is_a_right_one_and_no_recall_of_bare_faces(photos):
    found = score(photos, [[MASKED, SMALL, (300, 0, 340, 40)], [BARE]])
    assert found.found == {"bare >= 20 px": [0, 1], "bare >= 32 px": [0, 0], "masked >= 20 px": [1, 0]}
    assert (found.matched, found.detections, found.precision) == (3, 4, 0.75)


def test_the_ratio_is_of_all_photos_and_lies_in_its_interval(photos):
    scores = {"other": score(photos, [[], [BARE]]), "mine": score(photos, [[BARE], [BARE]])}
    ratio, low, high = PhotoSet(2, {"bare >= 20 px": [1, 1]}, scores).ratio("bare >= 20 px", "mine", "other")
    assert ratio == 2
    assert low <= ratio <= high


def test_lists_false_boxes_that_the_other_program_has_not(photos):
    one, other = (300, 0, 340, 40), (400, 0, 440, 40)
    scores = {"other": score(photos, [[one], []]), "mine": score(photos, [[one, other], [one]])}
    assert PhotoSet(2, {}, scores).new_false("mine", "other") == [(Path("one.jpg"), other), (Path("two.jpg"), one)]
