"""Which pictures of a visit are kept, and when. On one picture, quality follows the detector's confidence alone."""

import gc
from datetime import datetime, timedelta, timezone
from types import FunctionType, ModuleType

import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.sources.frame import Frame
from face_app.edge.vision import quality
from face_app.edge.vision.best_shot import PATIENCE, SETTLED, BestShots
from face_app.edge.vision.tracker import End, Sighting
from services.detections import detection

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
STEP = 0.25
IMAGE = np.random.default_rng(1).integers(60, 200, (480, 640, 3), np.uint8)
SHOT = settings.Shot(first_within=1.0, acceptable=0.3, least=0.1, better_by=0.1, most=3)
BAD, POOR, FAIR, GOOD, BEST = 0.25, 0.45, 0.65, 0.8, 1.0
"""Confidences: below `least`, below `acceptable`, then each better by the margin than the one before."""


def face(confidence, x=200):
    return detection(x, 150, 140, confidence, height=180)


def q(confidence):
    return quality.rate(IMAGE, face(confidence)).score


def frame(number, image=IMAGE):
    elapsed = number * STEP
    return Frame(image.copy(), number, NOON + timedelta(seconds=elapsed), elapsed)


class Visitor:
    """Shows the faces of one or several tracks, look by look."""

    def __init__(self, shot=SHOT, crop=settings.Crop()):  # noqa: B008
        self.best = BestShots("door", shot, crop)
        self.number = 0
        self.shots = []

    def see(self, *confidences, believed=True, track=1):
        for confidence in confidences:
            sightings = [] if confidence is None else [Sighting(track, face(confidence), believed)]
            self.shots += [(self.number, shot) for shot in self.best.see(frame(self.number), sightings)]
            self.number += 1
        return self

    def end(self, track=1, *, believed=True):
        shots, visits = self.best.end([End(track, believed)])
        self.shots += [(self.number, shot) for shot in shots]
        return visits

    @property
    def news(self):
        return self.best.news(max(0, self.number - 1) * STEP)

    @property
    def told(self):
        return [(at * STEP, shot.why, shot.candidate.frame) for at, shot in self.shots]


def looks(seconds):
    return round(seconds / STEP)


def test_the_confidences_are_what_they_are_said_to_be():
    assert q(BAD) < SHOT.least < q(POOR) < SHOT.acceptable < q(FAIR)
    assert q(FAIR) + SHOT.better_by < q(GOOD)
    assert q(GOOD) + SHOT.better_by < q(BEST)


def test_the_first_is_the_best_of_those_until_its_time():
    visitor = Visitor().see(FAIR, GOOD, FAIR, FAIR, FAIR, FAIR)
    assert visitor.told == [(SHOT.first_within, "first", 1)]
    ((_, shot),) = visitor.shots
    assert (shot.track, shot.chosen_from, shot.first_frame, shot.last_frame) == (1, 5, 0, 4)
    assert shot.candidate.captured_at == NOON + timedelta(seconds=STEP)
    assert shot.candidate.frame_size == (640, 480)
    assert shot.candidate.quality.score == pytest.approx(q(GOOD))


def test_the_first_waits_for_an_acceptable_one():
    visitor = Visitor().see(*[POOR] * looks(2), FAIR, FAIR)
    assert visitor.told == [(2.0, "first", looks(2))]


def test_after_a_while_a_poor_one_leaves_all_the_same():
    visitor = Visitor().see(*[POOR] * (looks(PATIENCE) + 3))
    assert [each[:2] for each in visitor.told] == [(PATIENCE, "first")]


def test_one_that_is_too_bad_never_leaves_and_its_visit_is_told():
    visitor = Visitor().see(*[BAD] * looks(2 * PATIENCE))
    (visit,) = visitor.end()
    assert visitor.told == []
    assert (visit.camera, visit.track, visit.looks, visit.shots) == ("door", 1, looks(2 * PATIENCE), 0)
    assert visit.best == pytest.approx(q(BAD))
    assert (visit.first_at, visit.last_at) == (NOON, NOON + timedelta(seconds=2 * PATIENCE - STEP))


def test_nothing_leaves_before_the_track_is_believed():
    visitor = Visitor().see(*[GOOD] * looks(2), believed=False)
    assert visitor.told == []
    visitor.see(FAIR)
    assert visitor.told == [(2.0, "first", 0)]


def test_of_a_track_that_was_nobody_nothing_is_kept_and_nothing_told():
    visitor = Visitor().see(*[GOOD] * looks(2), believed=False)
    assert visitor.end(believed=False) == []
    assert visitor.told == []


def test_a_visit_that_ends_before_its_first_shot_gives_it_then():
    visitor = Visitor().see(GOOD)
    (visit,) = visitor.end()
    assert visitor.told == [(STEP, "first", 0)]
    assert (visit.looks, visit.shots, visit.best) == (1, 1, pytest.approx(q(GOOD)))


def test_a_better_one_leaves_once_it_has_stayed_the_best():
    visitor = Visitor().see(*[FAIR] * looks(2), GOOD, *[FAIR] * looks(2 * SETTLED))
    assert visitor.told[1:] == [(2.0 + SETTLED, "better", looks(2))]
    assert visitor.shots[1][1].chosen_from == looks(2.0 + SETTLED) + 1


def test_one_who_walks_up_gives_one_better_shot_not_one_a_step():
    rising = np.linspace(FAIR, BEST, looks(4))
    visitor = Visitor().see(*[FAIR] * looks(2), *rising, *[POOR] * looks(2 * SETTLED))
    assert [each[1] for each in visitor.told] == ["first", "better"]
    assert visitor.told[1][2] == looks(6) - 1


def test_one_that_is_hardly_better_is_not_kept():
    better = FAIR * (1 + 0.8 * SHOT.better_by / q(FAIR)) ** 0.5
    assert q(FAIR) < q(better) < q(FAIR) + SHOT.better_by
    visitor = Visitor().see(*[FAIR] * looks(2), *[better] * looks(3 * SETTLED))
    (visit,) = visitor.end()
    assert [each[1] for each in visitor.told] == ["first"]
    assert visit.shots == 1


def test_a_better_one_that_has_not_settled_leaves_at_the_end():
    visitor = Visitor().see(*[FAIR] * looks(2), GOOD)
    (visit,) = visitor.end()
    assert [each[1:] for each in visitor.told] == [("first", 0), ("final", looks(2))]
    assert (visit.shots, visit.best) == (2, pytest.approx(q(GOOD)))


def test_one_that_is_as_good_as_before_is_not_kept_again():
    visitor = Visitor().see(*[GOOD] * looks(10))
    (visit,) = visitor.end()
    assert len(visitor.told) == visit.shots == 1


@pytest.mark.parametrize("most", [1, 2, 3])
def test_there_is_a_most(most):
    shot = SHOT.model_copy(update={"most": most})
    visitor = Visitor(shot)
    for confidence in (FAIR, GOOD, BEST):
        visitor.see(*[confidence] * looks(2 * SETTLED))
    (visit,) = visitor.end()
    assert [each[1] for each in visitor.told] == ["first", "better", "better"][:most]
    assert visit.shots == most


def test_a_gap_in_the_looks_does_not_hold_a_shot_up():
    """It leaves in the next look, whoever is in that."""
    visitor = Visitor().see(GOOD, GOOD, *[None] * looks(2))
    assert visitor.told == [(SHOT.first_within, "first", 0)]


def test_each_visit_is_judged_by_itself():
    best = BestShots("door", SHOT, settings.Crop())
    shots = []
    for number in range(looks(2)):
        sightings = [Sighting(1, face(GOOD, 50), True), Sighting(2, face(BAD, 350), True)]
        shots += best.see(frame(number), sightings)
    assert [shot.track for shot in shots] == [1]
    late, visits = best.end([End(1, True), End(2, True)])
    assert late == []
    assert [(visit.track, visit.shots) for visit in visits] == [(1, 1), (2, 0)]


def test_news_until_there_is_a_shot_and_while_a_better_one_waits():
    visitor = Visitor()
    assert not visitor.news
    visitor.see(FAIR)
    assert visitor.news
    visitor.see(*[FAIR] * looks(2))
    assert not visitor.news
    visitor.see(GOOD)
    assert visitor.news
    visitor.see(*[GOOD] * looks(SETTLED))
    assert not visitor.news


def test_one_of_whom_there_will_be_no_shot_is_no_news_for_ever():
    visitor = Visitor().see(*[BAD] * looks(PATIENCE))
    assert visitor.news
    visitor.see(BAD, BAD)
    assert not visitor.news


def test_the_crop_is_of_the_frame_it_was_chosen_from():
    """The frame's own memory is used again by whoever reads the next one."""
    best = BestShots("door", SHOT, settings.Crop(margin=0))
    for number in range(looks(2)):
        shown = frame(number, IMAGE if number == 1 else IMAGE // 2 + 60)
        shots = best.see(shown, [Sighting(1, face(GOOD if number == 1 else FAIR), True)])
        shown.image[:] = 0
        if shots:
            break
    (shot,) = shots
    x1, y1, x2, y2 = (round(edge) for edge in shot.candidate.detection.box)
    assert np.array_equal(shot.candidate.image, IMAGE[y1:y2, x1:x2])


def test_only_crops_are_kept_in_memory():
    """No array that the stage can reach is, or is a view of, a frame."""
    best = BestShots("door", SHOT, settings.Crop())
    for number in range(20):
        best.see(frame(number), [Sighting(1, face(GOOD - number / 100), True)])
    assert all(array.nbytes < IMAGE.nbytes / 2 for array in arrays(best))


def arrays(root):
    found, seen, queue = [], set(), [root]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            found.append(thing)
            queue.append(thing.base)  # whose pixels a view holds
        queue.extend(gc.get_referents(thing))
    return found


def test_a_large_face_is_kept_no_larger_than_the_crop_may_be():
    best = BestShots("door", SHOT, settings.Crop(longest=64))
    best.see(frame(0), [Sighting(1, detection(0, 0, 640, height=480), True)])
    ((shot,), _) = best.end([End(1, True)])
    assert max(shot.candidate.image.shape) == 64
    assert all(array.nbytes <= 64 * 64 * 3 for array in arrays(best))
