"""Detect a frozen picture: a source that gives frames, but always the same one."""

import logging
import zlib

from face_app.edge.image import Image

log = logging.getLogger(__name__)

FROZEN_SECONDS = 60.0
"""Seconds of exactly equal pictures after which a source counts as frozen. Noise changes each picture of a camera, also
of a covered lens; an encoder may repeat a still scene, but at most until its next key frame."""
SAMPLE_STEP = 16
"""Step in x and y, pixels, of the sample that is compared first: it differs in nearly all pairs of frames."""


class FrozenPictureCheck:
    """Measures for how long one source has given exactly the same picture."""

    def __init__(self, name: str) -> None:
        """Prepare for the first picture.

        Args:
            name: Name of the source in the log.
        """
        self._name = name
        self._sample = b""
        self._checksum: int | None = None
        self._changed_at = 0.0
        self._logged = False

    def seconds_unchanged(self, image: Image, moment: float) -> float:
        """Return the seconds since the picture changed; log once when it counts as frozen.

        Args:
            image: Picture, before any stage draws on it.
            moment: Time of the picture on the source's clock, seconds.
        """
        sample = image[::SAMPLE_STEP, ::SAMPLE_STEP].tobytes()
        same_sample = sample == self._sample
        checksum = zlib.crc32(image.tobytes()) if same_sample else None
        # The sample is equal for the first time: the frame before has no checksum, so the samples alone decide.
        if not same_sample or (self._checksum is not None and checksum != self._checksum):
            self._changed_at = moment
            self._logged = False
        self._sample, self._checksum = sample, checksum
        seconds = moment - self._changed_at
        if seconds > FROZEN_SECONDS and not self._logged:
            self._logged = True
            log.warning(
                "%s: the picture has not changed for %.0f s; check the camera and its cable", self._name, seconds
            )
        return seconds
