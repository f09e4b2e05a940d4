"""Measure how the whole picture changed between two detector runs: a shift of the camera, a flash, or a cut.

The shift comes from phase correlation (Kuglin and Hines, 1975). If that fails, as it may when a person fills half of
the picture, it comes from template matching. The share of blocks that both pictures have in common checks it: a peak of
the correlation alone may be a person who moves.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from face_app.edge.vision.motion import Thumbnail

BLOCK = 16
"""Side of a block, pixels of the thumbnail. Larger blocks mix a person with the scene; two smaller ones of different
scenes are often similar by chance."""
MIN_CONTRAST = 4.0
"""Minimum standard deviation of a block with a pattern, grey levels. Lower takes noise for a pattern."""
NOISE_VARIANCE = 4.0
"""Variance that is added to each block, grey levels squared, so that the noise of a dark block does not count."""
MIN_CORRELATION = 0.65
"""Minimum correlation of two blocks that show the same. Gain and offset of the light do not change it. Higher takes
blur and fast persons for another scene, lower finds more in common by chance."""
MIN_PATTERN = 0.15
"""Minimum share of blocks with a pattern in both pictures, without which no change is judged: a white wall resembles
any other, and after a black picture the scene may be the same."""
MAX_RESEMBLANCE = 0.15
"""Maximum share of common blocks after a cut, of those with a pattern in the plainer picture. Higher takes a person who
fills the picture for a cut."""
STILL_RESEMBLANCE = 0.9
"""Minimum share of common blocks of a camera that does not move; above it, the shift is not measured."""
MIN_GAIN = 0.3
"""Minimum share of the other blocks that a shift must make common. Lower follows a bus in front of a still camera,
higher loses the shift of a blurred picture."""
GOOD_RESEMBLANCE = 0.5
"""Minimum share of common blocks that makes template matching unnecessary. Higher costs more, lower trusts a shift that
explains only a part of the picture."""
TEMPLATE_BORDER = 0.2
"""Border of the last picture that is not searched in this one, as a share of each side: the maximum shift that template
matching finds. Wider borders leave a smaller template, which may be only the person."""
MAX_SHIFT = 0.3
"""Maximum shift, as a share of each side. A larger one leaves too little in common to check it."""
MAX_WITHHELD_SECONDS = 0.3
"""Maximum seconds between two frames for which a frame may be withheld. Slower cameras show a person too
seldom to skip a frame."""
MAX_PLAIN_SECONDS = 1.0
"""Maximum seconds of plain pictures after which a picture is compared with the one before them. Longer finds more cuts
and shifts; but in front of a plain wall, it takes the next person elsewhere for a shift of the camera."""

Grey: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CameraMotion:
    """Describes the change of the whole picture since the previous detector run.

    Attributes:
        kind: ``shift`` (also of 0 pixels); ``cut``: another scene; ``transient``: a picture that resembles nothing,
            such as a flash or the first frame of another scene; ``plain``: a picture without a pattern;
            ``late-cut``: the withheld frame showed another scene.
        dx: Pixels of the frame by which the scene moved to the right.
        dy: Pixels of the frame by which it moved down.
    """

    kind: Literal["shift", "cut", "transient", "plain", "late-cut"]
    dx: float = 0.0
    dy: float = 0.0


STILL = CameraMotion("shift")
CUT = CameraMotion("cut")
TRANSIENT = CameraMotion("transient")
PLAIN = CameraMotion("plain")
LATE_CUT = CameraMotion("late-cut")


class CameraMotionDetector:
    """Compares the thumbnails of successive detector runs; takes 0.6 to 0.9 ms if the camera moves, 0.15 ms if not."""

    def __init__(self) -> None:
        self._reference: Thumbnail | None = None
        self._referenced = self._previous = 0.0
        self._withheld: Thumbnail | None = None
        self._may_withhold = True

    def skip(self, elapsed: float) -> None:
        """Pass over a frame without a detector run.

        Args:
            elapsed: Seconds on the source's clock.
        """
        self._referenced = self._previous = elapsed

    def update(self, frame: Thumbnail, elapsed: float) -> CameraMotion:
        """Compare a frame with the last one that was neither withheld nor, for up to `MAX_PLAIN_SECONDS`, ``plain``.

        After a frame is ``transient``, no other is until one resembles the scene again. After a ``late-cut``, process
        the withheld frame, and update with this one again: it is compared with the withheld one.

        Args:
            frame: Thumbnail of the frame on which the detector is about to run.
            elapsed: Seconds on the source's clock.
        """
        may_withhold = self._may_withhold and elapsed - self._previous <= MAX_WITHHELD_SECONDS
        self._previous = elapsed
        before = self._reference
        withheld, self._withheld = self._withheld, None
        if before is None or before.size != frame.size:
            motion = CUT if before else STILL
        else:
            motion = _compare(before, frame)
            if may_withhold and motion in (CUT, PLAIN):
                self._may_withhold = False
                self._withheld = frame
                return TRANSIENT
        if motion == CUT and withheld:
            motion, frame = LATE_CUT, withheld
        self._may_withhold = motion.kind == "shift"
        if motion != PLAIN or elapsed - self._referenced > MAX_PLAIN_SECONDS:
            self._reference = frame
            self._referenced = elapsed
        return motion


def _compare(before: Thumbnail, now: Thumbnail) -> CameraMotion:
    height, width = now.grey.shape
    if min(height, width) < 2 * BLOCK:
        return STILL
    still, pattern_before, pattern_now = _resemblance(before.grey, now.grey)
    if pattern_before < MIN_PATTERN or still >= STILL_RESEMBLANCE:
        return STILL
    if pattern_now < MIN_PATTERN:
        return PLAIN
    shift = _correlate(before.grey, now.grey)
    moved = _resemblance_after(before.grey, now.grey, shift)
    if moved < GOOD_RESEMBLANCE:
        other = _search(before.grey, now.grey)
        moved, shift = max((moved, shift), (_resemblance_after(before.grey, now.grey, other), other))
    dx, dy = shift
    if moved >= still + MIN_GAIN * (1 - still):
        return CameraMotion("shift", dx * now.size[0] / width, dy * now.size[1] / height)
    # A plain van hides most of the pattern, but what is left of it is common.
    of_plainer = still * max(1.0, pattern_before / pattern_now)
    return CUT if max(of_plainer, moved) <= MAX_RESEMBLANCE else STILL


def _correlate(before: Grey, now: Grey) -> tuple[float, float]:
    """Return by how many pixels the scene moved, in x and y, by phase correlation."""
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F)
    # Copies, because OpenCV multiplies pictures of some sizes by the window in place.
    (dx, dy), _ = cv2.phaseCorrelate(before.copy(), now.copy(), window)
    return dx, dy


def _search(before: Grey, now: Grey) -> tuple[float, float]:
    """Return by how many pixels the scene moved, in x and y, by template matching."""
    height, width = before.shape
    x, y = round(width * TEMPLATE_BORDER), round(height * TEMPLATE_BORDER)
    match = cv2.matchTemplate(now, before[y : height - y, x : width - x], cv2.TM_CCOEFF_NORMED)
    _, _, _, (left, top) = cv2.minMaxLoc(match)
    return left - x, top - y


def _resemblance_after(before: Grey, now: Grey, shift: tuple[float, float]) -> float:
    """Return the share of common blocks after a shift, or 0 if the shift is too large."""
    height, width = before.shape
    if abs(shift[0]) > MAX_SHIFT * width or abs(shift[1]) > MAX_SHIFT * height:
        return 0.0
    return _resemblance(*_overlap(before, now, *shift))[0]


def _overlap(before: Grey, now: Grey, dx: float, dy: float) -> tuple[Grey, Grey]:
    """Return the part that both pictures show, each pixel of one at the place of the same pixel of the other."""
    height, width = now.shape
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    aligned: Grey = cv2.warpAffine(before, matrix, (width, height))  # type: ignore[assignment]
    top, bottom = max(0, int(np.ceil(dy))), height + min(0, int(np.floor(dy)))
    left, right = max(0, int(np.ceil(dx))), width + min(0, int(np.floor(dx)))
    return aligned[top:bottom, left:right], now[top:bottom, left:right]


def _resemblance(before: Grey, now: Grey) -> tuple[float, float, float]:
    """Return the share of common blocks among those with a pattern before, and the shares of those with a pattern.

    These are the share before, and the share now.
    """
    size = before.shape[1] // BLOCK, before.shape[0] // BLOCK

    def mean(values: Grey) -> Grey:
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    mean_before, mean_now = mean(before), mean(now)
    variance_before = mean(before * before) - mean_before**2
    variance_now = mean(now * now) - mean_now**2
    covariance = mean(before * now) - mean_before * mean_now
    correlation = covariance / np.sqrt(
        (np.maximum(variance_before, 0) + NOISE_VARIANCE) * (np.maximum(variance_now, 0) + NOISE_VARIANCE)
    )
    pattern = variance_before >= MIN_CONTRAST**2
    count = int(np.count_nonzero(pattern))
    common = int(np.count_nonzero(correlation[pattern] >= MIN_CORRELATION))
    pattern_now = float(np.mean(variance_now >= MIN_CONTRAST**2))
    return common / max(count, 1), count / pattern.size, pattern_now
