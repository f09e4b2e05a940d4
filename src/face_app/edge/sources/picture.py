"""A picture file."""

from pathlib import Path

import cv2

from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import Decoded

SHOWN = 2.0
"""Seconds for which a picture is shown that comes again and again."""


class Picture:
    """One picture, without a rate of its own: a `player.Clip` of one frame."""

    length = 1
    at = 0.0
    alone = True

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        """Look at the head of the file.

        Args:
            path: The file.
            loop: It comes again and again: shown for a while then, or it would be a flood of new faces.

        Raises:
            SourceError: It is no picture.
        """
        self._path = path
        self._taken = False
        self.last = SHOWN if loop else 0.0
        if not cv2.haveImageReader(str(path)):
            raise SourceError(f"{path}: cannot be decoded as a picture; set camera.source to another file")

    def grab(self) -> bool:
        """Take the picture, once."""
        first, self._taken = not self._taken, True
        return first

    def retrieve(self) -> Decoded:
        """Decode it, in colour and upright.

        Raises:
            SourceError: It is cut short, or too large.
        """
        try:
            image = cv2.imread(str(self._path), cv2.IMREAD_COLOR)
        except cv2.error:  # its head promises more pixels than OpenCV takes
            image = None
        if image is None:
            raise SourceError(f"{self._path}: cannot be decoded to its end; set camera.source to another file")
        return image

    def release(self) -> None:
        """Nothing is held."""
