"""Read GStreamer pipelines, for sources that OpenCV's wheel cannot read: CSI cameras, a Jetson's decoders, others."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.sources.address import mask_secrets
from face_app.edge.sources.decoder import Decoded, square_pixels

SINK = "videoconvert ! video/x-raw,format=BGRx ! appsink name=frames drop=true max-buffers=1 sync=false"
"""Tail appended to every pipeline. BGRx is what nvvidconv emits, so on a Jetson no frame is converted twice."""
POLL_SECONDS = 0.25
"""Maximum delay until a stop or an error is noticed while no frame comes, seconds."""
MAX_AGE = 2.0
"""Maximum age of a timestamp, seconds. An older timestamp, or one in the future, is not from the pipeline's clock."""


def prepare_pipeline(
    name: str,
    description: str,
    camera: settings.Camera,
    stop: threading.Event,
    properties: Mapping[str, object] | None = None,
) -> Callable[[], "GStreamerCapture"]:
    """Check that the pipeline can be built; return a function that opens it.

    Args:
        name: Name of the source in the log.
        description: Pipeline in the language of gst-launch-1.0, without a sink.
        camera: Timeout of a read.
        stop: Event that ends a read.
        properties: Properties of the element named ``camera`` that must not be in a description, such as a password.

    Raises:
        SourceError: GStreamer or an element is not installed, or the description is wrong.
    """
    gst = _import_gst()

    def build() -> Any:
        pipeline = _parse(gst, name, description)
        for key, value in (properties or {}).items():
            pipeline.get_by_name("camera").set_property(key, value)
        return pipeline

    build()  # only a check
    return lambda: GStreamerCapture(gst, name, build(), camera.read_timeout, stop)


class GStreamerCapture:
    """Reads a running pipeline as a `LiveCapture`."""

    def __init__(self, gst: Any, name: str, pipeline: Any, timeout: float, stop: threading.Event) -> None:
        """Start the pipeline.

        Args:
            gst: Module Gst.
            name: Name of the source in the log.
            pipeline: Gst.Pipeline with a sink named ``frames``.
            timeout: Maximum seconds of a read.
            stop: Event that ends a read.

        Raises:
            SourceError: The pipeline does not start.
        """
        self.timestamp = 0.0
        self._gst = gst
        self._name = name
        self._pipeline = pipeline
        self._timeout = timeout
        self._stop = stop
        self._sample: Any = None
        self._sink = pipeline.get_by_name("frames")
        # NO_PREROLL identifies a live pipeline; only its timestamps are capture times.
        self._live = pipeline.set_state(gst.State.PAUSED) == gst.StateChangeReturn.NO_PREROLL
        if pipeline.set_state(gst.State.PLAYING) == gst.StateChangeReturn.FAILURE:
            try:
                self._raise_bus_error_if_any()
                raise SourceError(f"{name}: does not start; is another program using the camera?")
            finally:
                self.release()

    def grab(self) -> bool:
        """Advance to the next frame; return False at the end of the pipeline, or after a stop.

        Raises:
            SourceError: No frame came within the timeout, or the pipeline reports an error.
        """
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            if self._stop.is_set():
                return False
            self._sample = self._sink.try_pull_sample(round(POLL_SECONDS * self._gst.SECOND))
            if self._sample:
                self.timestamp = time.monotonic() - self._age()
                return True
            self._raise_bus_error_if_any()
            if self._sink.get_property("eos"):
                return False
        raise SourceError(f"{self._name} has given no frame for {self._timeout:.0f} s")

    def retrieve(self) -> Decoded | None:
        """Copy the pixels of the frame that was grabbed last: H x W x 4, BGRx, with square pixels.

        Returns:
            None if the buffer is too short.
        """
        buffer = self._sample.get_buffer()
        structure = self._sample.get_caps().get_structure(0)
        width = structure.get_int("width").value
        height = structure.get_int("height").value
        data: bytes = buffer.extract_dup(0, buffer.get_size())
        if len(data) < width * height * 4:
            return None
        picture: Decoded = np.ndarray((height, width, 4), np.uint8, data, strides=(len(data) // height, 4, 1))
        known, across, down = structure.get_fraction("pixel-aspect-ratio")
        return square_pixels(picture, across / down) if known and down else picture

    def release(self) -> None:
        """Stop the pipeline."""
        self._sample = None
        self._pipeline.set_state(self._gst.State.NULL)

    def _age(self) -> float:
        """Return the seconds since the frame was captured; 0 if the timestamp is missing or implausible."""
        gst = self._gst
        clock = self._pipeline.get_clock()
        stamp = self._sample.get_buffer().pts
        if not self._live or not clock or stamp == gst.CLOCK_TIME_NONE:
            return 0.0
        running = self._sample.get_segment().to_running_time(gst.Format.TIME, stamp)
        age = (clock.get_time() - self._pipeline.get_base_time() - running) / gst.SECOND
        return age if 0 <= age <= MAX_AGE else 0.0

    def _raise_bus_error_if_any(self) -> None:
        """Wait up to 10 ms for an error on the pipeline's bus.

        Raises:
            SourceError: The bus reports an error.
        """
        kind = self._gst.MessageType
        message = self._pipeline.get_bus().timed_pop_filtered(self._gst.SECOND // 100, kind.ERROR)
        if message:
            raise SourceError(f"{self._name}: {_message(message.parse_error()[0])} ({message.src.get_name()})")


def redact_pipeline(description: str) -> str:
    """Return the names of a pipeline's elements, without properties: a property may contain a password."""
    return "gst:" + " ! ".join(re.split(r"[\s,]", part.strip())[0] for part in re.split(r"\s!\s", description))


def _parse(gst: Any, name: str, description: str) -> Any:
    from gi.repository import GLib  # noqa: PLC0415

    try:
        return gst.parse_launch(f"{description} ! {SINK}")
    except GLib.Error as error:
        raise SourceError(f"{name}: {_message(error)}; check camera.source and which plugins are installed") from error


def _message(error: Any) -> str:
    """Return the message of a GStreamer error, on one line and without secrets."""
    return mask_secrets(" ".join(str(error.message).split()))


def _import_gst() -> Any:
    """Import and initialise the module Gst.

    Raises:
        SourceError: GStreamer is not installed.
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
