"""Any GStreamer pipeline is a source. These run without a Jetson."""

import logging
import sys
from datetime import datetime, timezone
from itertools import islice

import numpy as np
import pytest

from face_app.common import settings
from face_app.common.errors import SourceError
from face_app.edge.image import set_up_opencv
from face_app.edge.metrics import SKIPPED
from face_app.edge.sources import jetson
from face_app.edge.sources.gstreamer import prepare_pipeline, redact_pipeline
from face_app.edge.sources.open_source import open_source
from support.gstreamer import link_bindings

set_up_opencv()

CANNOT = link_bindings()
needs_gstreamer = pytest.mark.skipif(bool(CANNOT), reason=CANNOT)
LIVE = "gst:videotestsrc is-live=true ! video/x-raw,width=162,height=120,framerate=30/1"


def source(address, stop, **camera):
    return open_source(settings.Camera(source=address, **{"reopen_max": 0.2, "read_timeout": 5, **camera}), stop)


@needs_gstreamer
def test_yields_frames_with_their_capture_time(stop):
    with source(LIVE, stop) as camera:
        frame = next(iter(camera))
        age = (datetime.now(timezone.utc) - frame.captured_at).total_seconds()
    assert frame.image.shape == (120, 162, 3)
    assert frame.image.dtype == np.uint8
    # The first bar of the picture is white, the second yellow: blue, green, red.
    white, yellow = frame.image[10, 10].tolist(), frame.image[10, 35].tolist()
    assert min(white) > 180
    assert yellow[0] < 20
    assert min(yellow[1:]) > 180
    assert 0 <= age < 1


@needs_gstreamer
def test_the_timestamp_precedes_the_read_in_a_slow_pipeline(stop):
    with source(f"{LIVE} ! queue ! identity sleep-time=200000", stop) as camera:
        frame = next(iter(camera))
        assert (datetime.now(timezone.utc) - frame.captured_at).total_seconds() > 0.15


@needs_gstreamer
def test_yields_frames_at_the_interval(stop):
    before = SKIPPED._value.get()
    with source(LIVE, stop) as camera:
        camera.interval = 0.2
        frames = list(islice(camera, 5))
    assert np.diff([frame.elapsed for frame in frames]).mean() == pytest.approx(0.2, abs=0.05)
    assert SKIPPED._value.get() - before > 10


@needs_gstreamer
@pytest.mark.parametrize("form", ["GRAY8", "GRAY16_LE", "RGBA", "NV12", "YUY2"])
def test_accepts_any_format(stop, form):
    with source(f"{LIVE},format={form} ", stop) as camera:
        assert next(iter(camera)).image.shape == (120, 162, 3)


@needs_gstreamer
def test_makes_pixels_square(stop):
    with source(f"{LIVE},pixel-aspect-ratio=2/1", stop) as camera:
        assert next(iter(camera)).image.shape == (120, 324, 3)


@needs_gstreamer
def test_reopens_a_pipeline_that_ends(stop, caplog):
    with source(LIVE.replace("is-live=true", "is-live=true num-buffers=5"), stop) as camera:
        frames = list(islice(camera, 12))
    assert len({frame.index for frame in frames}) == 12
    assert "gst:videotestsrc ! video/x-raw gives no more frames; trying again" in caplog.text


@needs_gstreamer
def test_logs_the_reason_of_a_failure_and_reopens(stop, stop_at, caplog):
    reason = "gst:rtspsrc ! decodebin: Could not open resource"
    stop_at(reason, count=2)
    with source("gst:rtspsrc location=rtsp://someone:secret@127.0.0.1:9/x ! decodebin", stop) as camera:
        assert list(camera) == []
    assert caplog.text.count(reason) > 1
    assert "secret" not in caplog.text


@needs_gstreamer
def test_reopens_a_device_that_fails_during_a_read(stop, caplog):
    with source(f"{LIVE} ! identity error-after=5", stop) as camera:
        frames = list(islice(camera, 12))
    assert len({frame.index for frame in frames}) == 12
    assert "Failed after iterations as requested" in caplog.text


@needs_gstreamer
def test_abandons_a_pipeline_that_hangs(stop, stop_at, caplog):
    hangs = "has given no frame for 0 s; trying again"
    stop_at(hangs)
    with source(f"{LIVE} ! queue ! valve drop=true", stop, read_timeout=0.5) as camera:
        assert list(camera) == []
    assert hangs in caplog.text


@needs_gstreamer
def test_a_stop_ends_a_read_without_an_error(stop):
    capture = prepare_pipeline("gst:valve", "videotestsrc is-live=true ! valve drop=true", settings.Camera(), stop)()
    stop.set()
    assert not capture.grab()
    capture.release()


@needs_gstreamer
def test_accepts_frames_that_change_their_size(stop, caplog):
    caplog.set_level(logging.INFO)
    halves = [f"videotestsrc num-buffers=8 is-live=true ! video/x-raw,width={width},height=48" for width in (64, 128)]
    with source(f"gst:{halves[0]} ! c. {halves[1]} ! c. concat name=c", stop) as camera:
        shapes = [frame.image.shape for frame in islice(camera, 14)]
    assert {(48, 64, 3), (48, 128, 3)} == set(shapes)
    assert "frames are 128 x 48 now, no longer 64 x 48" in caplog.text


@needs_gstreamer
@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("gst:nosuchelement", 'no element "nosuchelement"'),
        ("gst:videotestsrc nosuch=1", 'no property "nosuch"'),
        ("gst:videotestsrc ! ! ", "syntax error"),
        ("csi://0", 'csi://0: no element "nvarguscamerasrc"'),
    ],
)
def test_refuses_a_pipeline_that_cannot_be_built(stop, address, line):
    with pytest.raises(SourceError, match=line) as failed:
        source(address, stop)
    assert "\n" not in str(failed.value)


def test_names_the_packages_without_gstreamer(stop, monkeypatch):
    monkeypatch.setitem(sys.modules, "gi", None)
    with pytest.raises(SourceError, match=r"GStreamer cannot be used: .*Install python3-gi, gir1\.2-gst-plugins-base"):
        source(LIVE, stop)


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("videotestsrc is-live=true ! video/x-raw,width=64 ! queue", "gst:videotestsrc ! video/x-raw ! queue"),
        ("rtspsrc location=rtsp://a:b@c user-pw=d!e ! decodebin", "gst:rtspsrc ! decodebin"),
    ],
)
def test_names_a_pipeline_without_its_properties(description, name):
    assert redact_pipeline(description) == name


def test_describes_the_pipelines_of_a_jetson():
    requested = settings.Camera(width=1920, height=1080, fps=29.97, pixel_format="mjpg")
    assert jetson.csi_pipeline(1, settings.Camera()) == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720,framerate=30/1 "
        "! nvvidconv ! video/x-raw,format=BGRx"
    )
    assert ",width=1920,height=1080,framerate=2997/100 !" in jetson.csi_pipeline(0, requested)
    explicit, default = jetson.mjpg_pipeline(requested), jetson.mjpg_pipeline(settings.Camera())
    assert explicit.startswith("v4l2src name=camera ! image/jpeg,width=1920,height=1080,framerate=2997/100 !")
    assert default.startswith("v4l2src name=camera ! image/jpeg ! nvv4l2decoder mjpeg=1 !")


SUBSTITUTES = {
    "nvarguscamerasrc sensor-id=0": "videotestsrc is-live=true",
    "(memory:NVMM)": "",
    "nvvidconv": "videoconvert",
    "nvv4l2decoder enable-max-performance=1": "jpegdec",
}
"""Replace the elements that only a Jetson has; caps, names and properties of all others stay."""


def substitute(description):
    for element, other in SUBSTITUTES.items():
        description = description.replace(element, other)
    return description


@needs_gstreamer
def test_the_csi_pipeline_runs_with_substitutes(stop):
    camera = settings.Camera(width=320, height=240, fps=29.97)
    capture = prepare_pipeline("csi://0", substitute(jetson.csi_pipeline(0, camera)), camera, stop)()
    assert capture.grab()
    assert capture.retrieve().shape == (240, 320, 4)
    capture.release()
