"""A picture file."""

from pathlib import Path

import cv2

from face_app.edge.sources.capture import Decoded
from face_app.errors import SourceError


class Picture:
    """One picture, without a rate of its own: a `player.Reel` of one frame."""

    length = 1
    seconds = 2.0
    """Longer than a track lives unseen: each picture stands by itself."""

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        """Look at the head of the file.

        Args:
            path: The file.
            loop: It comes again and again: shown for its `seconds` then, or it would be a flood of new faces.

        Raises:
            SourceError: It is no picture.
        """
        self._path = path
        self._taken = False
        self.pause = self.seconds if loop else 0.0
        if not cv2.haveImageReader(str(path)):
            raise SourceError(f"{path}: cannot be decoded as a picture; set camera.source to another file")

    def grab(self) -> bool:
        """Take the picture, once."""
        first, self._taken = not self._taken, True
        return first

    def retrieve(self) -> Decoded:
        """Decode it, in colour and upright.

        Raises:
            SourceError: It is cut short.
        """
        image = cv2.imread(str(self._path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{self._path}: cannot be decoded to its end; set camera.source to another file")
        return image

    def release(self) -> None:
        """Nothing is held."""
