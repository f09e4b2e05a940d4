"""Shots are selected by quality and time. On one picture, quality follows the detector's confidence alone."""

import gc
from datetime import datetime, timedelta, timezone
from types import FunctionType, ModuleType

import numpy as np
import pytest

from face_app.common import settings
from face_app.edge.sources.frame import Frame
from face_app.edge.vision import quality
from face_app.edge.vision.best_shot import (
    CHECKS_PER_FRAME,
    DISMISSAL_CHECKS,
    MAX_DISMISSED_SCORE,
    MAX_FIRST_SHOT_WAIT,
    MAX_POOR_WAIT,
    MAX_SHUT_WAIT,
    MIN_STILL_SECONDS,
    NO_DETAIL,
    NO_FACE,
    STABLE_SECONDS,
    BestShots,
)
from face_app.edge.vision.face_mesh import MeshResult
from face_app.edge.vision.tracker import EndedTrack, TrackedFace
from support.detections import detection

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
STEP = 0.25
IMAGE = np.random.default_rng(1).integers(60, 200, (480, 640, 3), np.uint8)
SHOT = settings.Shot(first_within=1.0, acceptable=0.2, least=0.05, better_factor=1.4, most=3)
BAD, POOR, FAIR, GOOD, BEST = 0.45, 0.65, 0.8, 0.89, 1.0
"""Confidences: below `least`, below `acceptable`, then each one better by the factor than the one before."""


def face(confidence, x=200):
    return detection(x, 150, 140, confidence, height=180)


def q(confidence):
    return quality.assess(IMAGE, face(confidence)).score


def frame(number, image=IMAGE):
    elapsed = number * STEP
    return Frame(image.copy(), number, NOON + timedelta(seconds=elapsed), elapsed)


class Visitor:
    """Shows the faces of one or several tracks, frame by frame."""

    def __init__(self, shot=SHOT, crop=settings.Crop(), mesh=None):  # noqa: B008
        self.best = BestShots("door", shot, crop, mesh)
        self.number = 0
        self.shots = []

    def show(self, *confidences, confirmed=True, track=1):
        for confidence in confidences:
            faces = [] if confidence is None else [TrackedFace(track, face(confidence), confirmed)]
            self.shots += [(self.number, shot) for shot in self.best.update(frame(self.number), faces)]
            self.number += 1
        return self

    def leave(self, track=1, *, confirmed=True):
        shots, visits = self.best.finish_visits([EndedTrack(track, confirmed)])
        self.shots += [(self.number, shot) for shot in shots]
        return visits

    @property
    def pending(self):
        return self.best.has_pending(max(0, self.number - 1) * STEP)

    @property
    def selected(self):
        return [(at * STEP, shot.why, shot.candidate.frame) for at, shot in self.shots]


class Mesh:
    """Answers each check with the next of some results, and then always with the last."""

    def __init__(self, *results):
        self.results = list(results)
        self.checks = 0

    def check(self, image, detection):
        self.checks += 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


OPEN, SHUT, NOTHING = MeshResult(1.0, 0.3), MeshResult(1.0, 0.1), MeshResult(0.001, 0.3)


def frames(seconds):
    return round(seconds / STEP)


def test_the_constants_fit_the_settings():
    assert q(BAD) < SHOT.least < q(POOR) < SHOT.acceptable < q(FAIR)
    assert q(FAIR) * SHOT.better_factor < q(GOOD)
    assert q(GOOD) * SHOT.better_factor < q(BEST)


@pytest.mark.parametrize(
    ("before", "alone", "chosen"),
    [([FAIR], GOOD, 1), ([GOOD], FAIR, 0), ([FAIR, None, None, None, None], GOOD, 5)],
    ids=["better", "worse", "better than the shot"],
)
def test_a_joined_visit_yields_its_picture_and_counts(before, alone, chosen):
    visitor = Visitor().show(*before).show(alone, track=2, confirmed=False).show(POOR)
    assert visitor.best.finish_visits([EndedTrack(2, confirmed=False, joined=1)]) == ([], [])
    (visit,) = visitor.leave()
    assert (visit.track, visit.looks, visit.first_at, visit.last_at) == (
        1,
        3,
        NOON,
        NOON + timedelta(seconds=STEP * (len(before) + 1)),
    )
    assert visit.best == pytest.approx(max(q(before[0]), q(alone)))
    assert visitor.shots[-1][1].candidate.frame == chosen


def test_a_joined_visit_yields_no_shot_above_the_most():
    most = settings.Shot(first_within=1.0, acceptable=0.2, least=0.05, better_factor=1.4, most=1)
    visitor = Visitor(most).show(FAIR, None, None, None, None).show(BEST, track=2, confirmed=False)
    visitor.best.finish_visits([EndedTrack(2, confirmed=False, joined=1)])
    assert visitor.leave()[0].shots == 1


def test_the_first_shot_is_the_best_so_far():
    visitor = Visitor().show(FAIR, GOOD, FAIR, FAIR, FAIR, FAIR)
    assert visitor.selected == [(SHOT.first_within, "first", 1)]
    ((_, shot),) = visitor.shots
    assert (shot.track, shot.chosen_from, shot.first_frame, shot.last_frame) == (1, 5, 0, 4)
    assert shot.candidate.captured_at == NOON + timedelta(seconds=STEP)
    assert shot.candidate.frame_size == (640, 480)
    assert shot.candidate.quality.score == pytest.approx(q(GOOD))


def test_the_first_shot_waits_for_an_acceptable_picture():
    visitor = Visitor().show(*[POOR] * frames(2), FAIR, FAIR)
    assert visitor.selected == [(2.0, "first", frames(2))]


def test_a_poor_first_shot_is_sent_after_the_longest_wait():
    visitor = Visitor().show(*[POOR] * (frames(MAX_FIRST_SHOT_WAIT) + 3))
    assert [each[:2] for each in visitor.selected] == [(MAX_FIRST_SHOT_WAIT, "first")]


def test_a_picture_below_the_least_quality_is_sent_at_the_end_of_its_visit():
    visitor = Visitor().show(*[BAD] * frames(2 * MAX_FIRST_SHOT_WAIT))
    assert visitor.selected == []
    (visit,) = visitor.leave()
    assert visitor.selected == [(2 * MAX_FIRST_SHOT_WAIT, "only", 0)]
    assert (visit.camera, visit.track, visit.looks) == ("door", 1, frames(2 * MAX_FIRST_SHOT_WAIT))
    assert (visit.shots, visit.dismissed, visit.best) == (1, "", pytest.approx(q(BAD)))
    assert (visit.first_at, visit.last_at) == (NOON, NOON + timedelta(seconds=2 * MAX_FIRST_SHOT_WAIT - STEP))


def test_a_poor_picture_of_a_long_visit_is_sent_before_its_end():
    visitor = Visitor().show(*[BAD] * (frames(MAX_POOR_WAIT) + 3))
    assert [each[:2] for each in visitor.selected] == [(MAX_POOR_WAIT, "first")]


def test_selects_nothing_before_the_track_is_confirmed():
    visitor = Visitor().show(*[GOOD] * frames(2), confirmed=False)
    assert visitor.selected == []
    visitor.show(FAIR)
    assert visitor.selected == [(2.0, "first", 0)]


def test_an_unconfirmed_track_yields_no_shot_and_no_visit():
    visitor = Visitor().show(*[GOOD] * frames(2), confirmed=False)
    assert visitor.leave(confirmed=False) == []
    assert visitor.selected == []


def test_a_short_visit_yields_its_first_shot_at_the_end():
    visitor = Visitor().show(GOOD)
    (visit,) = visitor.leave()
    assert visitor.selected == [(STEP, "first", 0)]
    assert (visit.looks, visit.shots, visit.best) == (1, 1, pytest.approx(q(GOOD)))


def test_a_better_shot_is_selected_once_it_is_stable():
    visitor = Visitor().show(*[FAIR] * frames(2), GOOD, *[FAIR] * frames(2 * STABLE_SECONDS))
    assert visitor.selected[1:] == [(2.0 + STABLE_SECONDS, "better", frames(2))]
    assert visitor.shots[1][1].chosen_from == frames(2.0 + STABLE_SECONDS) + 1


def test_a_person_who_approaches_yields_one_better_shot():
    rising = np.linspace(FAIR, BEST, frames(4))
    visitor = Visitor().show(*[FAIR] * frames(2), *rising, *[POOR] * frames(2 * STABLE_SECONDS))
    assert [each[1] for each in visitor.selected] == ["first", "better"]
    assert visitor.selected[1][2] == frames(6) - 1


def test_a_picture_within_the_factor_is_not_selected():
    better = FAIR * (0.9 * SHOT.better_factor) ** (1 / quality.CONFIDENCE_POWER)
    assert q(FAIR) < q(better) < q(FAIR) * SHOT.better_factor
    visitor = Visitor().show(*[FAIR] * frames(2), *[better] * frames(3 * STABLE_SECONDS))
    (visit,) = visitor.leave()
    assert [each[1] for each in visitor.selected] == ["first"]
    assert visit.shots == 1


def test_an_unstable_better_shot_is_selected_at_the_end():
    visitor = Visitor().show(*[FAIR] * frames(2), GOOD)
    (visit,) = visitor.leave()
    assert [each[1:] for each in visitor.selected] == [("first", 0), ("final", frames(2))]
    assert (visit.shots, visit.best) == (2, pytest.approx(q(GOOD)))


def test_an_equal_picture_is_not_selected_again():
    visitor = Visitor().show(*[GOOD] * frames(10))
    (visit,) = visitor.leave()
    assert len(visitor.selected) == visit.shots == 1


@pytest.mark.parametrize("most", [1, 2, 3])
def test_limits_the_shots_of_a_visit(most):
    shot = SHOT.model_copy(update={"most": most})
    visitor = Visitor(shot)
    for confidence in (FAIR, GOOD, BEST):
        visitor.show(*[confidence] * frames(2 * STABLE_SECONDS))
    (visit,) = visitor.leave()
    assert [each[1] for each in visitor.selected] == ["first", "better", "better"][:most]
    assert visit.shots == most


def test_a_gap_does_not_delay_a_shot():
    """The next frame selects it, whatever that frame shows."""
    visitor = Visitor().show(GOOD, GOOD, *[None] * frames(2))
    assert visitor.selected == [(SHOT.first_within, "first", 0)]


def test_selects_shots_for_each_visit_separately():
    best = BestShots("door", SHOT, settings.Crop())
    shots = []
    for number in range(frames(2)):
        faces = [TrackedFace(1, face(GOOD, 50), True), TrackedFace(2, face(BAD, 350), True)]
        shots += best.update(frame(number), faces)
    assert [shot.track for shot in shots] == [1]
    late, visits = best.finish_visits([EndedTrack(1, True), EndedTrack(2, True)])
    assert [(shot.track, shot.why) for shot in late] == [(2, "only")]
    assert [(visit.track, visit.shots) for visit in visits] == [(1, 1), (2, 1)]


def test_is_pending_until_the_first_shot_and_while_a_better_one_waits():
    visitor = Visitor()
    assert not visitor.pending
    visitor.show(FAIR)
    assert visitor.pending
    visitor.show(*[FAIR] * frames(2))
    assert not visitor.pending
    visitor.show(GOOD)
    assert visitor.pending
    visitor.show(*[GOOD] * frames(STABLE_SECONDS))
    assert not visitor.pending


def test_a_visit_without_usable_pictures_is_not_pending_for_ever():
    visitor = Visitor().show(*[BAD] * frames(MAX_FIRST_SHOT_WAIT))
    assert visitor.pending
    visitor.show(BAD, BAD)
    assert not visitor.pending


def test_the_first_shot_waits_for_open_eyes():
    visitor = Visitor(mesh=Mesh(*[SHUT] * 7, OPEN)).show(*[GOOD] * frames(6))
    ((at, why, _),) = visitor.selected
    assert why == "first"
    assert SHOT.first_within < at < MAX_SHUT_WAIT
    assert visitor.shots[0][1].candidate.quality.terms["eyes"] == 1.0


def test_shut_eyes_delay_the_first_shot_for_a_limited_time():
    visitor = Visitor(mesh=Mesh(SHUT)).show(*[GOOD] * (frames(MAX_SHUT_WAIT) + 2))
    assert [each[:2] for each in visitor.selected] == [(MAX_SHUT_WAIT, "first")]


UNSURE = MAX_DISMISSED_SCORE - 0.02
"""A confidence with which a visit may be dismissed."""


def test_an_object_is_dismissed_with_a_reason():
    visitor = Visitor(mesh=Mesh(NOTHING)).show(*[UNSURE] * frames(4))
    (visit,) = visitor.leave()
    assert visitor.selected == []
    assert (visit.shots, visit.dismissed) == (0, NO_FACE)


def test_checks_that_show_a_face_prevent_a_dismissal():
    """The mesh misses many masked and turned faces."""
    visitor = Visitor(mesh=Mesh(*[NOTHING] * DISMISSAL_CHECKS, OPEN)).show(*[UNSURE] * frames(4))
    (visit,) = visitor.leave()
    assert (visit.shots, visit.dismissed) == (1, "")


def test_a_confident_detection_prevents_a_dismissal():
    visitor = Visitor(mesh=Mesh(NOTHING)).show(*[UNSURE] * frames(4), MAX_DISMISSED_SCORE + 0.02)
    (visit,) = visitor.leave()
    assert (visit.shots, visit.dismissed) == (1, "")


@pytest.mark.parametrize("level", [4, 250])
def test_a_visit_without_visible_details_is_dismissed_with_a_reason(level):
    visitor = Visitor()
    for _ in range(frames(2 * MAX_POOR_WAIT)):
        image = np.full_like(IMAGE, level)
        visitor.shots += visitor.best.update(frame(visitor.number, image), [TrackedFace(1, face(GOOD), True)])
        visitor.number += 1
    (visit,) = visitor.leave()
    assert visitor.shots == []
    assert (visit.shots, visit.dismissed) == (0, NO_DETAIL)


def test_one_visible_picture_of_a_dark_visit_is_sent():
    best = BestShots("door", SHOT, settings.Crop())
    for number in range(20):
        best.update(frame(number, IMAGE if number == 7 else IMAGE // 30), [TrackedFace(1, face(BAD), True)])
    ((shot,), (visit,)) = best.finish_visits([EndedTrack(1, True)])
    assert (shot.candidate.frame, shot.why, visit.dismissed) == (7, "only", "")


def test_a_picture_without_detail_never_replaces_one_with_detail():
    """An overexposed near face is larger and more frontal than the small one before it."""
    best = BestShots("door", SHOT, settings.Crop())
    white = np.full_like(IMAGE, 255)
    for number in range(5):
        best.update(frame(number), [TrackedFace(1, face(BAD), True)])
    for number in range(5, 20):
        best.update(frame(number, white), [TrackedFace(1, face(BEST), True)])
    ((shot,), (visit,)) = best.finish_visits([EndedTrack(1, True)])
    assert (shot.candidate.frame, visit.dismissed) == (0, "")


def test_a_dismissed_visit_is_not_pending_for_ever_and_seldom_checked():
    """A poster stays all day; now and then the mesh takes it for a face."""
    mesh = Mesh(*[MeshResult(presence, 0.3) for presence in (*[0.05] * 7, 0.6)] * 200)
    visitor = Visitor(mesh=mesh).show(*[UNSURE] * frames(60))
    assert not visitor.pending
    assert mesh.checks < 60
    (visit,) = visitor.leave()
    assert (visit.shots, visit.dismissed) == (0, NO_FACE)


def test_limits_the_checks_of_a_crowd_and_each_visit_has_a_picture():
    mesh = Mesh(OPEN)
    best = BestShots("door", SHOT, settings.Crop(), mesh)
    crowd = [TrackedFace(number, detection(10 * number, 150, 60), True) for number in range(30)]
    best.update(frame(0), crowd)
    assert mesh.checks == CHECKS_PER_FRAME
    shots, visits = best.finish_visits([EndedTrack(number, True) for number in range(30)])
    assert len(shots) == 30
    assert all(visit.shots for visit in visits)


def test_too_few_checks_dismiss_nothing():
    visitor = Visitor(mesh=Mesh(NOTHING)).show(*[UNSURE] * (DISMISSAL_CHECKS - 1))
    (visit,) = visitor.leave()
    assert (visit.shots, visit.dismissed) == (1, "")
    assert [each[1] for each in visitor.selected] == ["only"]


def test_a_small_face_is_never_dismissed():
    best = BestShots("door", SHOT, settings.Crop(), Mesh(NOTHING))
    for number in range(frames(4)):
        best.update(frame(number), [TrackedFace(1, detection(200, 150, 20, UNSURE), True)])
    ((shot,), (visit,)) = best.finish_visits([EndedTrack(1, True)])
    assert (shot.why, visit.dismissed) == ("only", "")


def test_a_person_who_moves_is_never_dismissed():
    best = BestShots("door", SHOT, settings.Crop(), Mesh(NOTHING))
    for number in range(frames(4)):
        image = np.roll(IMAGE, 2 * number, axis=1)
        best.update(frame(number, image), [TrackedFace(1, detection(200 + 2 * number, 150, 140, UNSURE), True)])
    ((shot,), (visit,)) = best.finish_visits([EndedTrack(1, True)])
    assert (shot.why, visit.dismissed) == ("only", "")


def sitter(seconds, other=None, mesh=NOTHING, confidence=UNSURE):
    """Return the end of a visit whose box varies at a place that does not change, except in one frame."""
    best = BestShots("door", SHOT, settings.Crop(), Mesh(mesh) if mesh else None)
    for number in range(frames(seconds)):
        image = IMAGE if number != other else IMAGE[:, ::-1]
        face = detection(200 + 40 * (number % 2), 150, 140, confidence)
        best.update(frame(number, image), [TrackedFace(1, face, True)])
    shots, (visit,) = best.finish_visits([EndedTrack(1, True)])
    return [shot.why for shot in shots], visit.dismissed


def test_an_object_is_dismissed_although_its_box_varies():
    assert sitter(MIN_STILL_SECONDS + 1) == ([], NO_FACE)


@pytest.mark.parametrize(
    "case",
    [
        {"seconds": MIN_STILL_SECONDS - 1},
        {"seconds": MIN_STILL_SECONDS + 1, "other": 9},
        {"seconds": MIN_STILL_SECONDS + 1, "confidence": MAX_DISMISSED_SCORE + 0.02},
    ],
    ids=["short", "moved once", "confident"],
)
def test_a_person_at_a_still_place_is_not_dismissed(case):
    assert sitter(**case) == (["only"], "")


def test_without_the_mesh_no_still_place_is_dismissed():
    assert sitter(MIN_STILL_SECONDS + 1, mesh=None, confidence=BAD) == (["only"], "")


def test_checks_only_pictures_that_may_become_shots():
    mesh = Mesh(OPEN)
    Visitor(mesh=mesh).show(*[GOOD] * frames(10))
    assert mesh.checks == 1


def test_a_covered_face_is_worse_than_a_free_one():
    best = BestShots("door", SHOT, settings.Crop())
    nearer = TrackedFace(2, detection(230, 170, 160, BEST, height=220), True)
    for number in range(frames(2)):
        others = [nearer] if number < frames(1) else []
        shots = best.update(frame(number), [TrackedFace(1, face(GOOD), True), *others])
        shots = [shot for shot in shots if shot.track == 1]
        if shots:
            break
    assert shots[0].candidate.frame == frames(1)


def test_the_crop_shows_its_own_frame():
    """The source may reuse the memory of a frame for the next one."""
    best = BestShots("door", SHOT, settings.Crop(margin=0))
    for number in range(frames(2)):
        shown = frame(number, IMAGE if number == 1 else IMAGE // 2 + 60)
        shots = best.update(shown, [TrackedFace(1, face(GOOD if number == 1 else FAIR), True)])
        shown.image[:] = 0
        if shots:
            break
    (shot,) = shots
    x1, y1, x2, y2 = (round(edge) for edge in shot.candidate.detection.box)
    assert np.array_equal(shot.candidate.image, IMAGE[y1:y2, x1:x2])


def test_stores_only_crops():
    """No array that the stage references is a frame, or a view of one."""
    best = BestShots("door", SHOT, settings.Crop())
    for number in range(20):
        best.update(frame(number), [TrackedFace(1, face(GOOD - number / 100), True)])
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
            queue.append(thing.base)  # the array whose pixels a view shows
        queue.extend(gc.get_referents(thing))
    return found


def test_stores_a_large_face_at_the_size_of_its_crop():
    best = BestShots("door", SHOT, settings.Crop(longest=64))
    best.update(frame(0), [TrackedFace(1, detection(0, 0, 640, height=480), True)])
    ((shot,), _) = best.finish_visits([EndedTrack(1, True)])
    assert max(shot.candidate.image.shape) == 64
    assert all(array.nbytes <= 64 * 64 * 3 for array in arrays(best))
