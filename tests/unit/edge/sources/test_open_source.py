"""A source exists and is of a known kind, or one line says what to change."""

import threading

import pytest

from face_app.common import settings
from face_app.common.errors import SettingsError, SourceError
from face_app.edge.sources.open_source import open_source


def make(source):
    return open_source(settings.Camera(source=source), threading.Event())


@pytest.mark.parametrize(
    "source",
    ["/dev/video0", "rtsp://camera/1", "HTTP://camera/stream", "https://u:p@camera:8443/", "/dev/v4l/by-id/a"],
)
def test_cameras_are_live_even_when_absent(source):
    assert make(source).live


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("/no/such/clip.mp4", r"camera\.source = '/no/such/clip\.mp4': No such file or directory"),
        ("~nobody-here/clip.mp4", "home directory"),
        ("/etc/passwd/clip.mp4", "Not a directory"),
        ("ftp://host/clip.mp4", r"ftp is not known; name a FILE, a DIR, /dev/videoN, rtsp://"),
        ("csi://left", r"camera\.source = 'csi://left': name the sensor by its number, such as csi://0"),
    ],
)
def test_refuses_an_unusable_source(source, line):
    with pytest.raises(SourceError, match=line):
        make(source)


@pytest.mark.parametrize("source", [None, ""])
def test_refuses_an_empty_source(source):
    with pytest.raises(SettingsError, match=r"camera\.source is not set"):
        make(source)


@pytest.mark.parametrize("secret", ["secret", "sec/ret", "sec@ret", "sec?ret"])
def test_masks_a_password_in_the_message(secret):
    with pytest.raises(SourceError, match=r"camera\.source = 'rstp://cam/1': rstp is not known") as failed:
        make(f"rstp://user:{secret}@cam/1?token=secret")
    assert "ret" not in str(failed.value)


@pytest.mark.parametrize("scheme", ["rstp://", "rtsp:/", "csi://"])
def test_masks_a_password_in_a_path(scheme):
    with pytest.raises(SourceError, match=r"camera\.source = ") as failed:
        make(f"{scheme}cam/user=admin&password=S3cret&channel=1")
    assert "S3cret" not in str(failed.value)
