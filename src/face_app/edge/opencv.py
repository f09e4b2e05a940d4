"""How OpenCV runs here: on one thread, and without a word of its own."""

import os

import cv2


def set_up() -> None:
    """Set OpenCV up, before the first capture is opened.

    One thread: two made each frame slower on two cores. Silent: what it and FFmpeg have to say about a broken file is
    many lines; ours is one.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
