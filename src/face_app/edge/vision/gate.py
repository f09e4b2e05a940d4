"""Decide on which frames the detector runs, and how many frames a second the source converts."""

from math import inf

from face_app.common import settings
from face_app.edge.vision.motion import Mask, MotionDetector, Thumbnail

DETECT_AFTER_MOTION = 2.0
"""Seconds for which the detector still runs after the last motion: a visitor may stand still to ring the bell."""
FULL_RATE_AFTER_EVENT = 3.0
"""Seconds of the full rate after motion has begun, or after a detection that left a shot pending."""
QUIET_DIVISOR = 2.0
"""Divisor of the rate while nothing is pending (every face has a good shot, or there is no face), and each detection
covers the frame. A large frame is read in parts at the full rate, because the next part may show a new face."""
IDLE_RATE = 5.0
"""Frames per second that are checked for motion while nothing moves."""
MIN_RATE = 1.0
"""Minimum detections per second, at any CPU cost: a CPU limit must not blind the camera."""
COST_WEIGHT = 0.1
"""Weight of the latest detection in the running mean of the CPU cost."""


class Gate:
    """Selects frames for the detector. All times are seconds on the source's clock."""

    def __init__(self, gate: settings.Gate, *, limit_cpu: bool = True) -> None:
        """Assume motion at the start, so that the detector runs on the first frames.

        Args:
            gate: Rates and thresholds.
            limit_cpu: True: lower the rate to stay within ``gate.cpu``. False: a file gives the same result everywhere.
        """
        self._settings = gate
        self._max_cpu = gate.cpu if limit_cpu else inf
        self._motion = MotionDetector(gate.area) if gate.motion else None
        self._last_motion = self._last_event = self._last_detection = -inf
        self._idle = False
        self._complete = True
        self._mean_cost = 0.0

    def should_detect(self, frame: Thumbnail, elapsed: float) -> bool:
        """Return whether to run the detector: during motion, shortly after it, and every ``gate.recheck`` seconds.

        Args:
            frame: The frame's thumbnail.
            elapsed: Seconds on the source's clock.
        """
        if self._motion is None or self._motion.update(frame, elapsed):
            if self._idle:
                self._last_event = elapsed
            self._last_motion = elapsed
        self._idle = elapsed - self._last_motion > DETECT_AFTER_MOTION
        due = not self._idle or elapsed - self._last_detection >= self._settings.recheck
        if due:
            self._last_detection = elapsed
        return due

    def record_detection(self, *, pending: bool, complete: bool, cpu: float, elapsed: float) -> None:
        """Adapt the rate to the outcome and the cost of a detection.

        Args:
            pending: True if a face needs more frames: it has no shot yet, its better shot is not stable, or it is lost.
            complete: True if the detection covered the frame at its own scale; otherwise the next ones continue it.
            cpu: CPU seconds that the detection took, for each whole frame or tile that it read.
            elapsed: Seconds on the source's clock.
        """
        self._mean_cost += (cpu - self._mean_cost) * (COST_WEIGHT if self._mean_cost else 1)
        self._complete = complete
        if pending:
            self.request_frames(elapsed)

    def request_frames(self, elapsed: float) -> None:
        """Run the detector at the full rate for a while, although nothing may move: a new face is still present.

        Args:
            elapsed: Seconds on the source's clock.
        """
        self._last_motion = self._last_event = elapsed
        self._idle = False

    @property
    def moving(self) -> Mask | None:
        """Return the moving pixels of the latest frame, at a small width; None if they are not known."""
        return self._motion.moving if self._motion else None

    @property
    def affordable(self) -> float:
        """Return the number of usual detections per second that the CPU limit allows."""
        return self._max_cpu / self._mean_cost if self._mean_cost else inf

    @property
    def interval(self) -> float:
        """Return the seconds until the next frame is needed: longer while idle, quiet, or over the CPU limit."""
        if self._idle:
            return 1 / IDLE_RATE
        quiet = self._complete and self._last_detection - self._last_event > FULL_RATE_AFTER_EVENT
        rate = self._settings.rate / (QUIET_DIVISOR if quiet else 1)
        return 1 / max(min(rate, self.affordable), MIN_RATE)
