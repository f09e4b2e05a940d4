"""NVIDIA's camera daemon, which often has no frame for the second program that asks it, until it is restarted."""

import logging
import time
from pathlib import Path

log = logging.getLogger(__name__)

STEADY = 60.0
"""Seconds of frames after which a loss is a new one, not the last one again."""
BETWEEN = 60.0
"""Least seconds between two requests: the daemon, and the camera behind it, need some of them to come back."""


class Argus:
    """Counts the failures of a CSI camera, and asks for a restart of its daemon after two in a row.

    The fault: Kurokesu/ar0234-jetson-driver#8, OE4T/meta-tegra#943, NVIDIA-AI-IOT/jetbot#1 and #211.
    """

    def __init__(self, request: Path | None) -> None:
        """Prepare.

        Args:
            request: File that the host watches for; None: only the cure is logged.
        """
        self._request = request
        self._failures = 0
        self._asked = float("-inf")

    def lost(self, lived: float) -> None:
        """The camera gave frames for so many seconds, or none, and gives none any more."""
        self._failures = 1 if lived >= STEADY else self._failures + 1
        if self._failures < 2 or time.monotonic() - self._asked < BETWEEN:
            return
        self._failures = 0
        self._asked = time.monotonic()
        if not self._request:
            log.warning("the camera's daemon may hang; on the host: sudo systemctl restart nvargus-daemon")
            return
        try:
            self._request.touch()
        except OSError as error:
            log.warning(
                "camera.argus_restart = %s: %s; on the host: sudo systemctl restart nvargus-daemon",
                self._request,
                error.strerror,
            )
        else:
            log.warning("the camera's daemon may hang; the host is asked to restart it")
