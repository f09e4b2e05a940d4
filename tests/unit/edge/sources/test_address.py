"""An address is logged without its secrets, wherever they stand in it."""

import pytest

from face_app.common.log import mask
from face_app.edge.sources.address import hide_secrets_of, mask_secrets, printable_address


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://cam/user=admin&password=S3cret&channel=1&stream=0.sdp", "rtsp://cam/***"),
        ("rtsp://cam:554/user=admin_password=S3cret_channel=1_stream=0.sdp?real", "rtsp://cam:554/***"),
        ("rtsp://cam/user=admin&password=S3c/ret&channel=1", "rtsp://cam/***"),
        ("rtsp://cam/live/password/S3cret/ch1", "rtsp://cam/live/password/***"),
        ("rtsp://cam/live/admin/S3cret/ch1", "rtsp://cam/live/admin/***"),
        ("rtsp://cam/live/admin:S3cret/ch1", "rtsp://cam/live/***"),
        ("rtsp://cam/live;user=admin;pwd=S3cret", "rtsp://cam/live"),
        ("rtsp://cam/live?user=admin&pwd=S3c@ret", "rtsp://cam/live"),
        ("rtsp://cam:554/live?user=admin&pwd=S3c@ret", "rtsp://***"),
        ("rtsp://cam/admin@S3cret", "rtsp://cam/***"),
        ("rtsp://admin:S3c/re@t@cam/1", "rtsp://***"),
        ("rtsp://admin:123/S3cret@cam/1", "rtsp://***"),
        ("rtsps://10.0.0.1:7441/S3cretAbCd1234567?enableSrtp", "rtsps://10.0.0.1:7441/***"),
        ("http://admin:S3cret@[::1]:80/video#S3cret", "http://[::1]:80/video"),
        ("rtsp:/cam/user=admin&password=S3cret", "rtsp:/cam/user=***"),
        ("rtsp:/admin:S3cret@cam/1", "rtsp://cam/1"),
    ],
)
def test_masks_secrets_at_any_position(address, name):
    assert printable_address(address) == name


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://cam/h264Preview_01_main",
        "rtsp://cam:554/Streaming/Channels/101",
        "rtsp://[fe80::1]:554/axis-media/media.amp",
        "http://cam.local:8080/",
        "csi://0",
        "/home/user/admin/clip 1.mp4",
    ],
)
def test_names_a_harmless_address_whole(address):
    assert printable_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://admin:S3cret@cam/1",
        "rtsp://admin:S3%63ret@cam/1",
        "rtsp://cam/user=admin&password=S3cret&channel=1",
        "rtsp://cam/user=admin_password=S3cret_channel=1",
        "rtsp://cam/pass/S3cret/1",
        "http://cam/video?user=admin&pwd=S3cret",
        "gst:rtspsrc user-id=admin user-pw=1 password=S3cret ! decodebin",
    ],
)
def test_masks_a_secret_by_its_value(address):
    hide_secrets_of(address)
    assert "S3cret" not in mask("401 for S3cret (admin)")
    assert "S3cret" not in mask_secrets(f"cannot read {address}: 401")
    assert mask("401 for channel 1 of admin") == "401 for channel 1 of admin"
