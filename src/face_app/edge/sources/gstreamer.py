"""GStreamer, for what OpenCV's wheel cannot read: CSI cameras, a Jetson's decoders, any pipeline."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import Decoded

SINK = "videoconvert ! video/x-raw,format=BGRx ! appsink name=frames drop=true max-buffers=1 sync=false"
"""Ends every pipeline. BGRx is what a Jetson's nvvidconv gives: there nothing is converted before a frame is wanted."""
NOTICE = 0.25
"""Most seconds until a stop or an error is noticed while no frame comes."""
OLDEST = 2.0
"""Seconds. A time stamp that lies further back, or ahead, is not of the pipeline's clock."""


def pipeline(
    name: str,
    description: str,
    camera: settings.Camera,
    stop: threading.Event,
    properties: Mapping[str, object] | None = None,
) -> Callable[[], "Pipeline"]:
    """Make what opens a pipeline, after a look whether it can be made at all.

    Args:
        name: What to call it in the log.
        description: In the language of gst-launch-1.0, without its sink.
        camera: Time-out of a read.
        stop: Ends a read.
        properties: Of the element named ``camera``: what a description is no place for, such as a password.

    Raises:
        SourceError: GStreamer is not there, or an element is not, or the description is wrong.
    """
    gst = _gstreamer()

    def make() -> Any:
        made = _parse(gst, name, description)
        for key, value in (properties or {}).items():
            made.get_by_name("camera").set_property(key, value)
        return made

    make()
    return lambda: Pipeline(gst, name, make(), camera.read_timeout, stop)


class Pipeline:
    """A running pipeline as a `LiveCapture`."""

    def __init__(self, gst: Any, name: str, made: Any, timeout: float, stop: threading.Event) -> None:
        """Start it.

        Args:
            gst: The module Gst.
            name: What to call it.
            made: A Gst.Pipeline with a sink named ``frames``.
            timeout: Seconds that a read may take.
            stop: Ends a read.

        Raises:
            SourceError: It does not start.
        """
        self.at = 0.0
        self._gst = gst
        self._name = name
        self._pipeline = made
        self._timeout = timeout
        self._stop = stop
        self._sample: Any = None
        self._sink = made.get_by_name("frames")
        # Only a live pipeline has no frame before it plays, and only its time stamps tell when a frame was taken.
        self._live = made.set_state(gst.State.PAUSED) == gst.StateChangeReturn.NO_PREROLL
        if made.set_state(gst.State.PLAYING) == gst.StateChangeReturn.FAILURE:
            try:
                self._heed()
                raise SourceError(f"{name}: does not start; is another program using the camera?")
            finally:
                self.release()

    def grab(self) -> bool:
        """Take the next frame; False at the stream's end.

        Raises:
            SourceError: None came in time, or the pipeline says what is wrong.
        """
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline and not self._stop.is_set():
            self._sample = self._sink.try_pull_sample(round(NOTICE * self._gst.SECOND))
            if self._sample:
                self.at = time.monotonic() - self._age()
                return True
            self._heed()
            if self._sink.get_property("eos"):
                return False
        raise SourceError(f"{self._name} has given no frame for {self._timeout:.0f} s")

    def retrieve(self) -> Decoded | None:
        """Copy the pixels of the frame that was grabbed last: H x W x 4."""
        buffer, structure = self._sample.get_buffer(), self._sample.get_caps().get_structure(0)
        width, height = structure.get_int("width").value, structure.get_int("height").value
        data: bytes = buffer.extract_dup(0, buffer.get_size())
        if len(data) < width * height * 4:
            return None
        picture: Decoded = np.ndarray((height, width, 4), np.uint8, data, strides=(len(data) // height, 4, 1))
        return picture

    def release(self) -> None:
        """Stop it."""
        self._sample = None
        self._pipeline.set_state(self._gst.State.NULL)

    def _age(self) -> float:
        """Seconds since the frame was captured; 0 where its time stamp does not tell."""
        gst, clock, stamp = self._gst, self._pipeline.get_clock(), self._sample.get_buffer().pts
        if not self._live or not clock or stamp == gst.CLOCK_TIME_NONE:
            return 0.0
        running = self._sample.get_segment().to_running_time(gst.Format.TIME, stamp)
        age = (clock.get_time() - self._pipeline.get_base_time() - running) / gst.SECOND
        return age if 0 <= age <= OLDEST else 0.0

    def _heed(self) -> None:
        """Look whether the pipeline has something to say; wait a moment for it.

        Raises:
            SourceError: It has.
        """
        kind = self._gst.MessageType
        message = self._pipeline.get_bus().timed_pop_filtered(self._gst.SECOND // 100, kind.ERROR)
        if message:
            raise SourceError(f"{self._name}: {_line(message.parse_error()[0])} ({message.src.get_name()})")


def elements(description: str) -> str:
    """Name a pipeline by its elements alone: their properties may hold a password."""
    return "gst:" + " ! ".join(re.split(r"[\s,]", part.strip())[0] for part in re.split(r"\s!\s", description))


def _parse(gst: Any, name: str, description: str) -> Any:
    from gi.repository import GLib  # noqa: PLC0415

    try:
        return gst.parse_launch(f"{description} ! {SINK}")
    except GLib.Error as error:
        raise SourceError(f"{name}: {_line(error)}; check camera.source and which plugins are installed") from error


def _line(error: Any) -> str:
    """What GStreamer has to say, on one line and without a password."""
    return re.sub(r"//\S*@", "//", " ".join(str(error.message).split()))


def _gstreamer() -> Any:
    """Import the module Gst, and start it.

    Raises:
        SourceError: It is not there.
    """
    try:
        import gi  # noqa: PLC0415

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import Gst, GstApp  # noqa: F401, PLC0415
    except (ImportError, ValueError) as error:
        raise SourceError(
            f"GStreamer cannot be used: {error}. Install python3-gi, gir1.2-gst-plugins-base-1.0 and "
            "gstreamer1.0-plugins-good, and link /usr/lib/python3/dist-packages/gi into the virtual environment"
        ) from error
    Gst.init(None)
    return Gst
