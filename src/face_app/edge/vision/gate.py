"""When a frame is worth a look for faces, and how many frames are worth their pixels at all."""

from face_app.common import settings
from face_app.edge.image import Image
from face_app.edge.vision.motion import Motion

HOLD = 2.0
"""Seconds that looks go on after the last motion: somebody stops to ring the bell."""
NEWS = 3.0
"""Seconds after something new in which looks come at the full rate."""
CALM = 2.0
"""By how much looks become fewer when there is no news: all faces are known and well taken, or there are none."""
IDLE_RATE = 5.0
"""Frames a second that are compared with the past while nothing moves."""
SLOWEST = 1.0
"""Looks a second that are taken whatever they cost: a budget must not blind the camera."""
WEIGHT = 0.1
"""Of the latest look in the running mean of what looks cost."""


class Gate:
    """Lets frames through. All times are seconds on the source's clock."""

    def __init__(self, gate: settings.Gate, *, budget: bool = True) -> None:
        """Begin with an open gate.

        Args:
            gate: Rates, and when something moves.
            budget: Mind what looks cost. Without, a file gives the same on any machine.
        """
        self._settings = gate
        self._budget = gate.cpu if budget else float("inf")
        self._motion = Motion(gate.area) if gate.motion else None
        self._moved = self._news = self._looked = float("-inf")
        self._idle = False
        self._cost = 0.0

    def opens(self, image: Image, elapsed: float) -> bool:
        """Tell whether to look for faces in this frame: something moves, moved lately, or it is time to make sure.

        Args:
            image: H x W x 3, BGR.
            elapsed: Seconds on the source's clock.
        """
        if self._motion is None or self._motion.moves(image, elapsed):
            if self._idle:
                self._news = elapsed
            self._moved = elapsed
        self._idle = elapsed - self._moved > HOLD
        due = not self._idle or elapsed - self._looked >= self._settings.recheck
        if due:
            self._looked = elapsed
        return due

    def told(self, *, news: bool, cpu: float, elapsed: float) -> None:
        """Learn from a look.

        Args:
            news: There is a face that is not well taken yet.
            cpu: Seconds of CPU that the look took.
            elapsed: Seconds on the source's clock.
        """
        self._cost += (cpu - self._cost) * (WEIGHT if self._cost else 1)
        if news:
            self._news = elapsed
            self._moved, self._idle = elapsed, False  # who has just been found still stands there

    @property
    def interval(self) -> float:
        """Seconds until the next frame that is wanted."""
        if self._idle:
            return 1 / IDLE_RATE
        calm = self._looked - self._news > NEWS
        rate = self._settings.rate / (CALM if calm else 1)
        affordable = self._budget / self._cost if self._cost else rate
        return 1 / max(min(rate, affordable), SLOWEST)
