"""OpenCV's capture as a `LiveCapture`."""

import time

import cv2

from face_app.edge.sources.capture import Decoded


class VideoCapture:
    """An open capture of OpenCV's: FFmpeg's or V4L2's."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.at = 0.0
        self._capture = capture

    def grab(self) -> bool:
        """Take the next frame; its moment is that of the read."""
        there = self._capture.grab()
        self.at = time.monotonic()
        return there

    def retrieve(self) -> Decoded | None:
        """Convert it."""
        try:
            there, image = self._capture.retrieve()
        except cv2.error:
            return None
        return image if there else None

    def release(self) -> None:
        """Let go of the device, the connection or the file."""
        self._capture.release()
