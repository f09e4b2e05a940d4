"""Read single files: a video, or a picture as a clip of one frame."""

import math
from pathlib import Path
from typing import Protocol

import cv2

from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import Capture, Decoded, OpenCVCapture, open_ffmpeg
from face_app.edge.sources.file_name import native_name, printable_name
from face_app.edge.sources.picture_file import decode_picture, refuse_partial_picture

DEFAULT_RATE = 25.0
"""Frames per second of a video that reports none, or an impossible one."""
LOOPED_PICTURE_SECONDS = 2.0
"""Seconds for which a looped picture is shown in each round."""


class Clip(Capture, Protocol):
    """Is a capture of one file, which also knows its length and its times.

    Attributes:
        length: Number of frames, as the file reports it.
        position: Seconds from the first frame to the frame that was grabbed last.
        frame_seconds: Seconds for which one frame is shown, so also the last one.
        independent: True if each frame shows another scene than the frames before and after it.
    """

    length: int
    position: float
    frame_seconds: float
    independent: bool


class PictureClip:
    """Reads a picture file as a `Clip` of one frame."""

    length = 1
    position = 0.0
    independent = True

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        """Read the header of the file.

        Args:
            path: Picture file.
            loop: True if the picture is repeated. Each round then shows it for `LOOPED_PICTURE_SECONDS`, because a loop
                without a pause would flood the edge with faces.

        Raises:
            SourceError: The file is not a picture.
        """
        self._path = path
        self._grabbed = False
        self.frame_seconds = LOOPED_PICTURE_SECONDS if loop else 0.0
        self._name = printable_name(path)
        with native_name(path) as name:
            readable = cv2.haveImageReader(name)
        if not readable:
            raise SourceError(f"{self._name}: cannot be decoded as a picture; set camera.source to another file")

    def grab(self) -> bool:
        """Return True at the first call, for the only frame."""
        first = not self._grabbed
        self._grabbed = True
        return first

    def retrieve(self) -> Decoded:
        """Decode the picture in colour and upright: H x W x 3, BGR.

        Raises:
            SourceError: The file is truncated, the picture is too large, or its values have no known scale.
        """
        return decode_picture(self._path)

    def release(self) -> None:
        """Do nothing, because the file is not open."""


class VideoClip:
    """Reads a video file with FFmpeg, as a `Clip`."""

    independent = False

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SourceError: The file is not a video, or FFmpeg would read only a part of it.
        """
        self._name = printable_name(path)
        refuse_partial_picture(path)  # FFmpeg opens an HEIF picture as a video, and reads only one of its tiles
        with native_name(path) as name:
            capture = open_ffmpeg(name)
        if not capture.isOpened():
            raise SourceError(
                f"{self._name}: cannot be decoded; set camera.source to a video, a picture or a folder of them"
            )
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.position = 0.0
        self.frame_seconds = 1 / (rate if math.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_RATE)
        self._first_time: float | None = None
        self._capture = OpenCVCapture(capture)

    def grab(self) -> bool:
        """Advance to the next frame; return False at the end.

        Raises:
            SourceError: No frame of the file can be decoded.
        """
        grabbed = self._capture.grab()
        if not grabbed and self._first_time is None:
            raise SourceError(f"{self._name}: has no frame that can be decoded; set camera.source to another file")
        if grabbed:
            self._update_position()
        return grabbed

    def _update_position(self) -> None:
        """Set the position to the frame's time in the file; if that does not increase, add the time of one frame."""
        media_time = self._capture.media_time
        if self._first_time is None:
            self._first_time = media_time
        elif media_time - self._first_time > self.position:
            self.position = media_time - self._first_time
        else:
            self.position += self.frame_seconds

    def retrieve(self) -> Decoded | None:
        """Convert the frame that was grabbed last; return None if it is undecodable."""
        return self._capture.retrieve()

    def release(self) -> None:
        """Close the file."""
        self._capture.release()
