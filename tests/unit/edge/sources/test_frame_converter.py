"""Decoded pictures become 8-bit BGR, or are discarded as broken: real damage, and pictures that resemble it."""

import logging
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from face_app.edge.image import set_up_opencv
from face_app.edge.metrics import UNDECODABLE
from face_app.edge.sources.clips import VideoClip
from face_app.edge.sources.frame_converter import FrameConverter

set_up_opencv()

SCENE = cv2.normalize(
    cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (320, 400, 3), np.uint8), (0, 0), 3),
    None,
    0,
    255,
    cv2.NORM_MINMAX,
)


def scene(shift=0):
    return np.ascontiguousarray(SCENE[shift : shift + 240, shift : shift + 320])


def bad(reason):
    return UNDECODABLE.labels(reason)._value.get()


def convert(decoded):
    return FrameConverter("camera").convert(decoded)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (48, 64, 3), (48, 64, 4)])
@pytest.mark.parametrize(("kind", "value"), [(np.uint8, 100), (np.uint16, 100 * 256 + 37)])
def test_converts_any_depth_and_number_of_channels(shape, kind, value):
    made = convert(np.full(shape, value, kind))
    assert (made.shape, made.dtype) == ((48, 64, 3), np.uint8)
    assert (made == 100).all()
    assert made.flags.writeable


def test_preserves_the_order_of_colours():
    made = convert(np.full((8, 8, 4), (10, 20, 30, 255), np.uint8))
    assert made[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turns_a_picture_upright(rotate):
    mounted = np.ascontiguousarray(np.rot90(scene(), rotate // 90))  # NumPy turns counterclockwise
    made = FrameConverter("camera", rotate).convert(mounted)
    assert (made == scene()).all()
    assert made.flags.c_contiguous
    assert made.flags.writeable


@pytest.mark.parametrize("decoded", [None, np.empty((0, 0, 3), np.uint8), np.empty((0, 64, 3), np.uint8)])
def test_discards_empty_pictures(decoded):
    before = bad("empty")
    assert convert(decoded) is None
    assert bad("empty") - before == 1


@pytest.mark.parametrize(
    "decoded", [np.zeros((8, 8, 2), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((2, 8, 8, 3), np.uint8)]
)
def test_discards_unknown_formats(decoded):
    before = bad("format")
    assert convert(decoded) is None
    assert bad("format") - before == 1


@pytest.mark.parametrize("code", [cv2.COLOR_YUV2BGR_YUYV, cv2.COLOR_YUV2BGR_I420], ids=["a driver's", "a decoder's"])
def test_discards_unwritten_memory(code):
    shape = (48, 64, 2) if code == cv2.COLOR_YUV2BGR_YUYV else (72, 64)
    before = bad("filler")
    assert convert(cv2.cvtColor(np.zeros(shape, np.uint8), code)) is None
    assert bad("filler") - before == 1


def test_discards_blank_pictures_and_logs_once(caplog):
    before = bad("blank")
    converter = FrameConverter("camera")
    assert [converter.convert(np.zeros((240, 320, 3), np.uint8)) for _ in range(3)] == [None] * 3
    assert bad("blank") - before == 3
    assert caplog.text.count("camera: pictures are blank, each pixel is 0") == 1


def test_accepts_a_dark_picture_with_one_lit_pixel():
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[3, 5] = 1
    assert convert(picture) is not None


@pytest.mark.parametrize(("share", "intact"), [(0.4, False), (0.6, False), (0.9, True)])
def test_discards_a_picture_that_is_largely_green(share, intact):
    picture = scene()
    picture[round(240 * share) :] = (0, 135, 0)
    assert (convert(picture) is not None) == intact


def covered(noise):
    return np.random.default_rng(0).integers(0, noise, (240, 320, 3), np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        covered(6),
        np.full((240, 320, 3), 255, np.uint8),
        np.full((240, 320, 3), (60, 140, 70), np.uint8),
        cv2.addWeighted(scene(), 0.3, np.full((240, 320, 3), (0, 150, 0), np.uint8), 0.7, 0),
        np.dstack([np.zeros((240, 320)), np.tile(np.linspace(70, 160, 320), (240, 1)), np.zeros((240, 320))]),
        np.full((240, 320, 3), 120, np.uint8),
        np.vstack([np.full((200, 320, 3), 130, np.uint8), scene()[:40]]),
    ],
    ids=[
        "a covered lens",
        "white",
        "a green wall",
        "green light",
        "shades of one green",
        "grey",
        "a wall of just that grey",
    ],
)
def test_accepts_every_picture_that_a_camera_may_take(picture):
    assert convert(picture.astype(np.uint8)) is not None


def test_accepts_and_logs_a_new_size(caplog):
    caplog.set_level(logging.INFO)
    converter = FrameConverter("camera")
    sizes = [(64, 48), (64, 48), (32, 24), (32, 24), (64, 48)]
    assert [converter.convert(np.full((*size[::-1], 3), 9, np.uint8)).shape[1::-1] for size in sizes] == sizes
    assert [record.message for record in caplog.records] == [
        "camera: frames are 32 x 24 now, no longer 64 x 48",
        "camera: frames are 64 x 48 now, no longer 32 x 24",
    ]


def intact_frames(path):
    """Read a file as a source does; return the number of frames, and the intact ones."""
    video, converter, made = VideoClip(path), FrameConverter(path.name), []
    while video.grab():
        made.append(converter.convert(video.retrieve()))
    video.release()
    return len(made), [each for each in made if each is not None]


def test_discards_jpegs_that_are_cut_short(tmp_path):
    jpegs = [cv2.imencode(".jpg", scene(shift))[1].tobytes() for shift in range(12)]
    damaged = [jpeg[: len(jpeg) // 2] + b"\xff\xd9" for jpeg in jpegs[:4]] + jpegs[4:]
    (tmp_path / "cut.mjpeg").write_bytes(b"".join(damaged))
    before = bad("filler")
    count, intact = intact_frames(tmp_path / "cut.mjpeg")
    assert (count, len(intact)) == (12, 8)
    assert bad("filler") - before == 4


def encoded(codec, **options):
    """Return 40 frames of a moving scene, with a key frame every 10."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size, encoder.options = Fraction(1, 25), 25, 10, options
    packets = []
    for number in range(40):
        frame = av.VideoFrame.from_ndarray(scene(number), "bgr24")
        frame.pts = number
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def test_reads_h264_with_lost_packets(tmp_path):
    packets = encoded("libx264", bf="0", preset="veryfast")
    received = [packet for number, packet in enumerate(packets) if number % 10 not in (4, 5)]
    (tmp_path / "lost.h264").write_bytes(b"".join(received))
    count, intact = intact_frames(tmp_path / "lost.h264")
    assert 20 <= count < 40
    assert len(intact) == count


def test_reads_h264_with_corrupt_packets_to_its_end(tmp_path):
    packets = encoded("libx264", bf="0", preset="veryfast")
    noise = np.random.default_rng(0)
    for number in (13, 14, 26):
        packets[number] = packets[number][:5] + noise.bytes(len(packets[number]) - 5)
    (tmp_path / "noise.h264").write_bytes(b"".join(packets))
    count, intact = intact_frames(tmp_path / "noise.h264")
    assert 30 <= count <= 40
    assert len(intact) == count
    assert cv2.absdiff(intact[-1], scene(39)).mean() < 10, "the last frame is itself again"


def test_discards_the_grey_before_the_first_key_frame(tmp_path):
    """MPEG-4 that starts without a key frame is decoded onto grey."""
    packets = encoded("mpeg4")
    header = packets[0][: packets[0].index(b"\x00\x00\x01\xb6") + 40]
    (tmp_path / "headless.m4v").write_bytes(header + b"".join(packets[1:]))
    before = bad("filler")
    count, intact = intact_frames(tmp_path / "headless.m4v")
    assert bad("filler") - before == count - len(intact)
    assert 1 <= count - len(intact) < 10
