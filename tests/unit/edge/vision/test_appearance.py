"""Appearances separate persons by their colours, and only by those."""

import cv2
import numpy as np
import pytest

from face_app.edge.vision.appearance import CLOTHES_PART, HEAD_PART, blend, describe, similarity
from face_app.edge.vision.tracker import MIN_APPEARANCE
from support.clips import drawn

SIZE = (320, 320)
BOX = (120.0, 68.0, 200.0, 172.0)


def person(look, x=160):
    return drawn((x, 120, 40), size=SIZE, look=look)


def of(image, box=BOX):
    return describe(image, box)


def test_the_same_picture_is_most_similar():
    assert similarity(of(person(1)), of(person(1))) == pytest.approx(1, abs=1e-3)


def test_persons_differ():
    assert max(similarity(of(person(0)), of(person(look))) for look in (1, 2)) < MIN_APPEARANCE
    assert similarity(of(person(1)), of(person(2))) < MIN_APPEARANCE


def test_the_clothes_alone_separate_persons():
    other = person(1)
    other[200:] = other[200:, :, ::-1]
    assert similarity(of(person(1)), of(other)) < MIN_APPEARANCE


def test_a_little_less_light_is_the_same_person():
    darker = (person(1) * 0.93).astype(np.uint8)
    assert similarity(of(person(1)), of(darker)) > MIN_APPEARANCE


def test_without_colours_no_person_is_the_same():
    grey = cv2.cvtColor(cv2.cvtColor(person(1), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert similarity(of(grey), of(grey)) == 0


def test_clothes_count_only_if_both_show_them():
    cut = person(1)[:175]
    assert similarity(of(cut), of(person(1))) > MIN_APPEARANCE


def test_the_mean_retains_clothes_that_are_not_visible():
    whole, cut = of(person(1)), of(person(1)[:175])
    assert not cut[CLOTHES_PART].any()
    mean = blend(whole, cut, 0.2)
    assert (mean[CLOTHES_PART] == whole[CLOTHES_PART]).all()
    assert blend(cut, whole, 0.2)[CLOTHES_PART] == pytest.approx(whole[CLOTHES_PART])


def test_the_mean_contains_each_part_by_its_weight():
    one, other = of(person(1)), of(person(2))
    mean = blend(one, other, 0.25)
    for part in (HEAD_PART, CLOTHES_PART):
        assert mean[part] == pytest.approx(0.75 * one[part] + 0.25 * other[part], abs=1e-6)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (-50, -50, 5, 5), (310, 310, 900, 900), (0, 0, 320, 320)])
def test_accepts_any_box(box):
    assert 0 <= similarity(of(person(1), box), of(person(1), box)) <= 1.001
