"""Find faces at their own scale: whole frames and finer tiles in turns, and close-ups of uncertain faces.

A whole frame at the detector's width shows near faces; in a frame of 1920 pixels, a face of 36 is 12 wide there, and is
missed. So two of three runs read a tile at a finer scale instead: where something moved, or where no tile has been for
the longest time. The third one reads the whole frame coarsely, for faces that are too large for a tile. A tile only
proposes new faces. A close-up reads a small region around one face, enlarged: it confirms a proposal, and finds a known
face that the rest of the run did not show. So each run covers each known face; in a crowd, in which close-ups take
turns, about every second run does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, hypot, inf

import cv2
import numpy as np
import numpy.typing as npt

from face_app.edge.image import Box, Image, centre, iou
from face_app.edge.vision.detectors.detection import Detection, Detector, Region
from face_app.edge.vision.detectors.yunet import MAX_IOU, input_length
from face_app.edge.vision.enhance import DAYLIGHT, Light, is_dark, measure_light
from face_app.edge.vision.motion import Mask

MAX_WHOLE_ONLY_LENGTH = 1.25
"""A frame of at most this length, in widths of the detector, is always read whole. In such frames, close-ups found no
more persons for half as much CPU again."""
MAX_TILE_SCALE = 3.0
"""A tile shows the frame at most at this length, in widths of the detector: 1920 pixels for a width of 640. A doubled
length finds smaller faces in 4K, but needs four times the tiles to cover the frame."""
TILE_SHAPE = 0.6
"""The shorter side of a tile's input is this share of its longer side, which is the detector's width. A tile has about
as many pixels as a whole frame of 16:9 at that width."""
OVERLAP = 0.15
"""The next tile of a photo repeats at least this share of a tile, so that at most one of both cuts a face."""
WHOLE_REDUCTION = 4.0
"""A whole frame between tiles is scaled down by this factor. The faces that are too large for a tile need no more: one
of 300 pixels still has 75. A higher factor costs less, but leaves smaller faces to the tiles alone."""
MIN_WHOLE = 320
"""A whole frame between tiles has at least this length in the detector's input, pixels, and at most its width."""
WHOLE_EVERY = 3
"""One run of this many reads the whole frame, which only very near faces need; the others read a tile."""
LEAST_RECENT_EVERY = 4
"""One tile of this many goes where no tile has been for the longest time; the others go to motion. A lower number finds
people who sit still sooner, a higher one finds people who move sooner."""
MOTION_SECONDS = 1.0
"""Motion decays with this time constant, seconds: the place of a person who has just stopped is still of interest."""
MIN_MOTION = 0.05
"""A cell with less motion is still. A cell retains this share of its motion after three time constants."""
SPARSE_SECONDS = 1.0
"""A run that is at least this many seconds after the previous one reads the whole frame and `SPARSE_TILES`, if the CPU
limit allows it: nothing moves, or the camera gives few frames. A slow computer also runs seldom, but has no time for
more."""
SPARSE_TILES = 3
"""A sparse run reads this many tiles. Each costs as much as a whole frame."""
QUIET_WEIGHT = 0.002
"""A cell without motion has this weight, a cell that moves has 1. If nothing moves, the longest wait decides."""
NOISE_SECONDS = 1.0
"""The noise is measured once in this many seconds, because each measurement costs 0.4 ms."""
BUDGET = 1.3
"""All inputs of a run have this many pixels in the mean, as a multiple of a whole frame's. A higher budget finds new
faces sooner at more CPU."""
MAX_SKIPPED = 1
"""At most this many successive runs read no whole frame and no tile, while close-ups of many known faces use up the
time."""
CELLS = 40
"""The plan counts motion in cells, this many along a frame's longer side. In large cells a small person who moves
weighs almost as much as a large one; in small cells the place of motion is more exact."""

CLOSE_UP_FACE = 56
"""A close-up enlarges a new face to this width, pixels. Of real faces of 16 to 24 pixels, 36 to 73 % reach a score of
0.8 at their own scale, and 97 % enlarged to 48. Masked faces need more; at 64 an object on a shelf became a face."""
FOLLOW_FACE = 36
"""A close-up enlarges a known face to this width, pixels: a lower score suffices, and it costs half as much."""
MAX_FOLLOW = 0.7
"""Close-ups of known faces have at most this many pixels in a run, as a multiple of a whole frame's. If they need more,
they take turns, each in about every second run: the tracks of a crowd matter more than the budget."""
PROPOSAL_RADIUS = 1.0
"""A close-up of a new face searches within this radius, in widths of the face."""
MAX_CLOSE_UP_INPUT = 256
"""The input of a close-up has at most this side, pixels, even if the radius is large; it costs a third of a whole
frame."""
CLEAR_FACE = 20
"""A known face of at least this width in an input, pixels, needs no close-up. A higher limit loses fewer tracks, but
costs more."""
MAX_PROPOSALS = 4
"""One run takes close-ups of at most this many new faces, the most confident first."""
NEW_MARGIN = 0.03
"""A new face of a close-up needs this confidence beyond the minimum: tiles show many more objects than a frame."""
STILL_MARGIN = 0.07
"""A new face where nothing has moved needs this confidence beyond the minimum. Packs on a shelf never move; people who
sit do now and then."""
CUT = 0.06
"""The border of a region cuts a face that is nearer than this share of the face's width."""


@dataclass(frozen=True)
class _Found:
    """Describes a detection, and how well the region shows it.

    Attributes:
        detection: The face.
        clear: True if the face is large enough in the input.
        cut: True if an inner border of the region cuts it.
    """

    detection: Detection
    clear: bool
    cut: bool


class Scan:
    """Selects the regions of each frame, runs the detector on them, and merges the results.

    Attributes:
        complete: True if the latest run covered the frame at its own scale.
        reads: Whole frames and tiles of the latest run, as the divisor of its CPU time; 1 too if it read neither, but
            only close-ups.
    """

    def __init__(self, detector: Detector, score: float) -> None:
        """Start without known motion.

        Args:
            detector: Detector; one without a width always gets the whole frame.
            score: Minimum confidence that starts a track, 0 to 1.
        """
        self.complete = True
        self.reads = 1
        self._detector = detector
        self._score = score
        self._plan = _Plan()
        self._pixels = 0
        """Pixels of all inputs of the latest run."""
        self._excluded: list[Box] = []
        """Known faces of which the previous run took no close-up, because of the limit."""
        self._light = DAYLIGHT
        self._noise_measured_at = -inf
        """Time of the latest measurement of the noise, seconds on the source's clock."""

    def detect(
        self,
        image: Image,
        elapsed: float,
        expected: Sequence[tuple[Box, float]],
        moving: Mask | None,
        affordable: float = inf,
    ) -> list[Detection]:
        """Return the faces of the next frame of a camera.

        Args:
            image: H x W x 3, BGR.
            elapsed: Seconds on the source's clock.
            expected: Box of each known face, and its search radius in widths of the box.
            moving: Pixels that move, in any size; None if they are not known.
            affordable: Number of runs per second, each of a whole frame or a tile, that the CPU limit allows.
        """
        self.reads = 1
        width = self._detector.width
        self.complete = width is None or max(image.shape[:2]) <= MAX_WHOLE_ONLY_LENGTH * width
        if width is None:
            return self._mark_sure(self._detector.detect(image))
        self._light = self._measure_light(image, elapsed)
        if self.complete:
            return self._mark_sure(self._detector.detect(image, light=self._light))
        self._plan.update(image, elapsed, moving)
        self._pixels = 0
        whole, boxes = self._plan.advance(image, _tile_size(image, width), elapsed, affordable)
        self.reads = max(1, whole + len(boxes))
        tiles = [face for box in boxes for face in self._read(image, _region(image, box, width))]
        frame = None if boxes else _coarse(image, width)  # a sparse run has the time for the detector's full width
        faces = self._merge(image, self._read(image, frame) if whole else [], tiles, expected, MAX_PROPOSALS)
        # A sparse run has had the time for its further tiles: the next one need not save it.
        self._plan.spend(self._pixels / _whole_pixels(image, width) - (self.reads - 1))
        return faces

    def _measure_light(self, image: Image, elapsed: float) -> Light:
        if elapsed - self._noise_measured_at < NOISE_SECONDS:
            return Light(is_dark(image), self._light.noisy)  # a cut may lead from a lit scene to a dark one
        self._noise_measured_at = elapsed
        return measure_light(image)

    def detect_photo(self, image: Image) -> list[Detection]:
        """Return the faces of a picture that follows no other (H x W x 3, BGR): read it whole and in all tiles."""
        self.reads = 1
        self.complete = True
        self._plan = _Plan()  # the motion of frames before it does not count
        width = self._detector.width
        self._light = DAYLIGHT  # more contrast finds more false boxes too, and no later frame corrects them
        if width is None or max(image.shape[:2]) <= MAX_WHOLE_ONLY_LENGTH * width:
            return self._mark_sure(self._detector.detect(image, light=self._light))
        boxes = list(_all_tiles(image, _tile_size(image, width)))
        self.reads = 1 + len(boxes)
        tiles = [face for box in boxes for face in self._read(image, _region(image, box, width))]
        return self._merge(image, self._read(image, None), tiles, (), len(tiles))

    def _read(self, image: Image, region: Region | None) -> list[_Found]:
        """Run the detector on a region, or on the whole frame."""
        height, width = image.shape[:2]
        scale = region.scale if region else (self._detector.width or 0) / max(width, height)
        box = region.box if region else (0, 0, width, height)
        self._pixels += region.size[0] * region.size[1] if region else _whole_pixels(image, self._detector.width or 0)
        return [
            _Found(each, _width(each.box) * scale >= CLEAR_FACE, _is_cut(each.box, box, image))
            for each in self._detector.detect(image, region, light=self._light)
        ]

    def _mark_sure(self, faces: Iterable[Detection], margin: float = 0.0) -> list[Detection]:
        """Mark the faces that may start a track: their score exceeds the minimum by the margin."""
        return [replace(each, sure=each.score >= self._score + margin) for each in faces]

    def _confirm(self, image: Image, proposal: Box) -> list[Detection]:
        """Take a close-up of a new face; return the faces around it."""
        margin = NEW_MARGIN if self._plan.has_moved(proposal, image) else STILL_MARGIN
        return self._mark_sure(self._close_up(image, proposal, PROPOSAL_RADIUS, CLOSE_UP_FACE), margin)

    def _close_up(self, image: Image, box: Box, radius: float, face: int) -> list[Detection]:
        """Return the faces in a region around a box, scaled so that a face of its width has `face` pixels."""
        side = _width(box) * (2 + radius)
        length = _close_up_length(radius, face)
        part = _square(image, box, side)
        # At the border of a small frame, the region is smaller: the scale of both axes remains.
        size = input_length(length * (part[2] - part[0]) / side), input_length(length * (part[3] - part[1]) / side)
        return [each.detection for each in self._read(image, Region(part, size)) if not each.cut]

    def _follow(self, image: Image, expected: Sequence[tuple[Box, float]], hidden: Sequence[int]) -> list[Detection]:
        """Take close-ups of known faces; of many, those that the previous run excluded come first.

        Args:
            image: H x W x 3, BGR.
            expected: Known faces.
            hidden: Numbers of those that the run does not show clearly, in ascending order.
        """
        costs = {number: _close_up_length(expected[number][1], FOLLOW_FACE) ** 2 for number in hidden}
        limit = max(MAX_FOLLOW * _whole_pixels(image, self._detector.width or 0), sum(costs.values()) / 2)
        # By place: the numbers of faces change when a track begins or is lost.
        first = {
            min(hidden, key=lambda number: _distance(expected[number][0], box)) for box in self._excluded if hidden
        }
        self._excluded = []
        spent = 0
        close_ups: list[Detection] = []
        for number in sorted(hidden, key=lambda number: (number not in first, number)):
            if spent >= limit:
                self._excluded.append(expected[number][0])
                continue
            spent += costs[number]
            close_ups += self._close_up(image, *expected[number], FOLLOW_FACE)
        return close_ups

    def _merge(
        self,
        image: Image,
        whole: list[_Found],
        tiles: list[_Found],
        expected: Sequence[tuple[Box, float]],
        proposals: int,
    ) -> list[Detection]:
        """Return each face once.

        Args:
            image: H x W x 3, BGR.
            whole: Faces of the whole frame; they are valid as they are.
            tiles: Faces of tiles; a new one is valid only if a close-up confirms it.
            expected: Known faces.
            proposals: Maximum number of close-ups of new faces.
        """
        faces = self._mark_sure(each.detection for each in whole)
        hidden = []
        for number, (box, radius) in enumerate(expected):
            found = [
                each for each in (*whole, *tiles) if not each.cut and _is_near(each.detection.box, box, radius / 2)
            ]
            faces += [each.detection for each in found]
            if not any(each.clear for each in found):
                hidden.append(number)
        close_ups = self._follow(image, expected, hidden)
        known = [box for box, _ in expected] + [each.box for each in (*faces, *close_ups) if each.sure]
        uncertain = sorted((each.detection for each in (*whole, *tiles)), key=lambda each: -each.score)
        for each in uncertain:
            if proposals and not any(_is_near(each.box, box) for box in known):
                close_ups += self._confirm(image, each.box)
                known.append(each.box)
                proposals -= 1
        return _suppress([*close_ups, *faces])


class _Plan:
    """Decides in turns between whole frames and tiles, and places the tiles."""

    def __init__(self) -> None:
        self._shape = (0, 0)
        """Rows and columns of the cells."""
        self._motion: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        """Motion of each cell, 0 to 1."""
        self._read_at: npt.NDArray[np.float64] = np.empty((0, 0), np.float64)
        """Time when a tile last covered each cell, seconds on the source's clock. After 100 days, float32 has steps of
        a second."""
        self._motion_known = False
        """True if the latest frame came with its pixels that move."""
        self._updated = 0.0
        """Time of the latest frame, seconds on the source's clock."""
        self._interval = 0.0
        """Seconds between the latest two frames."""
        self._turns = 0
        """Number of runs that read a whole frame or a tile."""
        self._skipped = 0
        """Number of successive runs that read neither."""
        self._debt = 0.0
        """Pixels beyond the budget that later runs must save, as a multiple of a whole frame's."""
        self._tiles = 0
        """Number of tiles."""

    def update(self, image: Image, elapsed: float, moving: Mask | None) -> None:
        """Add the motion of a frame, and forget old motion.

        Args:
            image: Frame, for its size.
            elapsed: Seconds on the source's clock.
            moving: Pixels that move, in any size; None if they are not known.
        """
        height, width = image.shape[:2]
        scale = CELLS / max(height, width)
        shape = max(1, round(height * scale)), max(1, round(width * scale))
        if shape != self._shape:
            self._shape = shape
            self._motion = np.zeros(shape, np.float32)
            self._read_at = np.full(shape, elapsed - 1, np.float64)
        self._motion_known = moving is not None
        self._interval = elapsed - self._updated
        self._updated = elapsed
        self._motion *= np.exp(-self._interval / MOTION_SECONDS)
        if moving is not None:
            cells = cv2.resize(moving.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA) > 0
            np.maximum(self._motion, cells, out=self._motion)

    def advance(self, image: Image, size: tuple[int, int], elapsed: float, affordable: float) -> tuple[bool, list[Box]]:
        """Return whether to read the whole frame in this run, and which tiles.

        Args:
            image: Frame, for its size.
            size: Width and height of a tile, pixels of the frame.
            elapsed: Seconds on the source's clock.
            affordable: Number of runs per second that the CPU limit allows.
        """
        has_time = self._interval >= SPARSE_SECONDS and self._interval * affordable >= 1 + SPARSE_TILES
        sparse = self._turns > 0 and has_time
        if self._debt > 0 and self._skipped < MAX_SKIPPED and not sparse:
            self._skipped += 1
            return False, []
        self._skipped = 0
        self._turns += 1
        whole = sparse or self._turns % WHOLE_EVERY == 1
        if sparse:
            count = SPARSE_TILES
        elif whole:
            count = 0
        else:
            count = 1
        return whole, [self._place(image, size, elapsed) for _ in range(count)]

    def spend(self, cost: float) -> None:
        """Count the cost of a run. If runs cost more than the budget, later ones read less.

        Args:
            cost: Pixels of all inputs, 1 for those of a whole frame.
        """
        self._debt = max(0.0, min(self._debt + cost - BUDGET, BUDGET))

    def has_moved(self, box: Box, image: Image) -> bool:
        """Return whether something has moved in a box lately; True if it is not known.

        Args:
            box: x1, y1, x2, y2 in pixels of the frame.
            image: Frame, for its size.
        """
        if not self._motion_known:
            return True
        columns = self._shape[1]
        x1, y1, x2, y2 = (edge * columns / image.shape[1] for edge in box)
        cells = self._motion[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1]
        return bool(cells.size and cells.max() > MIN_MOTION)

    def _place(self, image: Image, size: tuple[int, int], elapsed: float) -> Box:
        """Return the next tile, and mark it as read: motion counts by its wait, now and then the wait alone."""
        self._tiles += 1
        age = elapsed - self._read_at
        weight = age if self._tiles % LEAST_RECENT_EVERY == 0 else age * (self._motion + QUIET_WEIGHT)
        rows, columns = self._shape
        scale = columns / image.shape[1]
        across, down = (
            min(max(1, round(side * scale)), most) for side, most in zip(size, (columns, rows), strict=True)
        )
        sums = cv2.integral(weight)
        totals = sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
        row, column = np.unravel_index(int(np.argmax(totals)), totals.shape)
        self._read_at[row : row + down, column : column + across] = elapsed
        left = min(round(column / scale), image.shape[1] - size[0])
        top = min(round(row / scale), image.shape[0] - size[1])
        return left, top, left + size[0], top + size[1]


def _close_up_length(radius: float, face: int) -> int:
    """Return the side of the input of a close-up, pixels."""
    return input_length(min(face * (2 + radius), MAX_CLOSE_UP_INPUT))


def _whole_pixels(image: Image, width: int) -> int:
    """Return the number of pixels of the input for a whole frame."""
    return int(width**2 * min(image.shape[:2]) / max(image.shape[:2]))


def _tile_size(image: Image, width: int) -> tuple[int, int]:
    """Return width and height of a tile in pixels of the frame; its longer side lies along that of the frame."""
    height, across = image.shape[:2]
    longest = max(height, across)
    length = width / min(1.0, MAX_TILE_SCALE * width / longest)
    shape = (length, length * TILE_SHAPE) if across >= height else (length * TILE_SHAPE, length)
    return min(round(shape[0]), across), min(round(shape[1]), height)


def _all_tiles(image: Image, size: tuple[int, int]) -> Iterator[Box]:
    """Return tiles that overlap and cover the frame."""
    height, width = image.shape[:2]
    for y in _starts(height, size[1]):
        for x in _starts(width, size[0]):
            yield x, y, x + size[0], y + size[1]


def _starts(length: int, side: int) -> list[int]:
    count = 1 + ceil((length - side) / (side * (1 - OVERLAP)))
    return [round(number * (length - side) / max(1, count - 1)) for number in range(count)]


def _region(image: Image, box: Box, width: int) -> Region:
    """Return a tile as a region, scaled down only if the frame is larger than `MAX_TILE_SCALE`."""
    x1, y1, x2, y2 = (round(edge) for edge in box)
    return _scaled((x1, y1, x2, y2), min(1.0, MAX_TILE_SCALE * width / max(image.shape[:2])))


def _coarse(image: Image, width: int) -> Region:
    """Return the whole frame as a region, scaled down as far as the faces that no tile can show allow it."""
    height, across = image.shape[:2]
    longest = max(height, across)
    return _scaled((0, 0, across, height), min(width, max(MIN_WHOLE, longest / WHOLE_REDUCTION)) / longest)


def _scaled(part: tuple[int, int, int, int], scale: float) -> Region:
    x1, y1, x2, y2 = part
    return Region(part, (input_length((x2 - x1) * scale), input_length((y2 - y1) * scale)))


def _square(image: Image, box: Box, side: float) -> tuple[int, int, int, int]:
    """Return a square around the centre of a box, moved into the frame, and not larger than it."""
    edges = []
    for middle, length in zip(centre(box), image.shape[1::-1], strict=True):
        whole = max(1, min(round(side), length))
        start = min(max(round(middle - whole / 2), 0), length - whole)
        edges.append((start, start + whole))
    (x1, x2), (y1, y2) = edges
    return x1, y1, x2, y2


def _is_cut(face: Box, region: tuple[int, int, int, int], image: Image) -> bool:
    """Return whether the border of a region cuts a face; the border of the frame does not count."""
    margin = CUT * _width(face)
    height, width = image.shape[:2]
    return (
        (region[0] > 0 and face[0] - region[0] < margin)
        or (region[1] > 0 and face[1] - region[1] < margin)
        or (region[2] < width and region[2] - face[2] < margin)
        or (region[3] < height and region[3] - face[3] < margin)
    )


def _is_near(one: Box, other: Box, reach: float = 0.5) -> bool:
    """Return whether the centres of two boxes of similar size are at most `reach` widths apart."""
    smaller, larger = sorted((_width(one), _width(other)))
    return larger <= 2 * smaller and _distance(one, other) <= reach * larger


def _distance(one: Box, other: Box) -> float:
    """Return the distance of the centres of two boxes, pixels."""
    (x1, y1), (x2, y2) = centre(one), centre(other)
    return hypot(x1 - x2, y1 - y2)


def _width(box: Box) -> float:
    return box[2] - box[0]


def _suppress(faces: Sequence[Detection]) -> list[Detection]:
    """Return each face once, with its most confident detection (non-maximum suppression).

    A face is sure if one of its detections is: a tile may be more confident than the close-up that confirms it.
    """
    selected: list[Detection] = []
    for each in sorted(faces, key=lambda face: -face.score):
        same = [number for number, other in enumerate(selected) if iou(each.box, other.box) > MAX_IOU]
        if not same:
            selected.append(each)
        elif each.sure:
            number = max(same, key=lambda number: iou(each.box, selected[number].box))
            selected[number] = replace(selected[number], sure=True)
    return selected
