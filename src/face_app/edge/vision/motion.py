"""Whether anything moves: a frame against the recent past, at 160 pixels."""

import cv2
import numpy as np
import numpy.typing as npt

from face_app.edge.image import Image

WIDTH = 160
"""Pixels. A head of 20 pixels in a frame of 1280 is 2.5 here, but heads come with shoulders."""
MEMORY = 2.0
"""Seconds in which the past forgets two thirds of a change, so that a chair that was moved is soon part of the room."""
LEAST = 8.0
"""Grey levels of 255 by which a pixel must change. After the blur, a camera's noise in a dim room is 2 to 3."""
ABOVE_NOISE = 5.0
"""Times its own usual change that a pixel must change: leaves and screens move all day. Of a Gaussian, the mean
distance to the mean is 0.8 sigma, so this is 4 sigma."""
NOISE_MEMORY = 60.0
"""Seconds in which a pixel's usual change is learnt: long, or somebody who talks at a desk would become noise."""
MOST = 24.0
"""Grey levels that a pixel needs to change at most, however much it usually does: where people pass all day, they
would become noise themselves."""
STALE, STALE_FRAMES = 1.5, 2.5
"""Seconds, and times the step before, after which the past says nothing any more: the camera was away."""
CUT = 0.5
"""Part of the frame from which a change is no motion but another scene: a lamp, a camera that was turned."""


class Motion:
    """What one camera has seen lately. 0.15 ms of a 720p frame's 4 ms of decoding."""

    def __init__(self, area: float) -> None:
        """Begin without a past.

        Args:
            area: Part of the frame that must change.
        """
        self._area = area
        self._size = (0, 0)
        self._past: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._noise: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._seen = 0.0
        self._step = 0.0

    def moves(self, image: Image, elapsed: float) -> bool:
        """Compare a frame with the past, and make it part of it. Where there is none to compare with, it moves.

        Args:
            image: H x W x 3, BGR.
            elapsed: Seconds on the source's clock.
        """
        now = self._small(image)
        size = image.shape[1], image.shape[0]
        stale = max(STALE, STALE_FRAMES * self._step)
        since, self._seen = max(0.0, elapsed - self._seen), elapsed
        self._step = since
        if size != self._size or since > stale:
            self._size, self._past, self._noise = size, now, np.full_like(now, LEAST / ABOVE_NOISE)
            return True
        change = cv2.absdiff(now, self._past)
        moving = change > np.clip(self._noise * ABOVE_NOISE, LEAST, MOST)
        part = float(np.count_nonzero(moving)) / moving.size
        cv2.accumulateWeighted(change, self._noise, min(1.0, since / NOISE_MEMORY))
        cv2.accumulateWeighted(now, self._past, 1.0 if part >= CUT else min(1.0, since / MEMORY))
        return bool(part >= self._area)

    @staticmethod
    def _small(image: Image) -> npt.NDArray[np.float32]:
        height, width = image.shape[:2]
        across = min(WIDTH, width)
        size = (across, max(1, round(across * height / width)))
        # INTER_AREA would be ten times as dear; the blur after it takes the noise of the single pixels that are left.
        grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2GRAY)
        return cv2.blur(grey, (3, 3)).astype(np.float32)
