"""The metadata goes into the file, comes out again, and other tools can read it."""

import errno
import hashlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from PIL import ExifTags, Image

from face_app.common.errors import MessageError
from face_app.common.image_container import PNG, split_image
from face_app.common.metadata import FaceMetadata, read_image, read_metadata, write_metadata
from face_app.common.wire import FaceId

FACE_ID = FaceId("0badcafe", 42)
METADATA = FaceMetadata(
    edge="jetson",
    camera="door",
    captured_at=datetime(2026, 11, 22, 18, 30, 1, 123456, tzinfo=timezone.utc),
    track=7,
    frame_size=(1280, 720),
    box=(10, 20, 110, 140),
    landmarks=((30.0, 50.0), (70.5, 50.0), (50.0, 80.0), (35.0, 100.0), (65.0, 100.0)),
    detector="yunet",
    score=0.93,
    shot_score=0.5,
    shot_terms={"size": 0.5},
    why="better",
    clock_synchronised=None,
    chosen_from=12,
)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("PNG", "png")])
def test_round_trip_preserves_pixels_and_metadata(kind, suffix):
    image = encoded(kind)
    written = write_metadata(image, FACE_ID, METADATA)
    read = read_image(written, max_pixels=1_000_000)
    assert read.suffix == suffix
    assert (read.face_id, read.metadata) == (FACE_ID, METADATA)
    with Image.open(io.BytesIO(image)) as before, Image.open(io.BytesIO(written)) as after:
        assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("order", [b"II", b"MM"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_foreign_picture_is_repeated(kind, orientation, order):
    exif = Image.Exif()
    exif.endian = "<" if order == b"II" else ">"
    exif[ExifTags.Base.Make] = "another program"
    exif[ExifTags.Base.Orientation] = orientation
    assert exif.tobytes()[6:8] == order
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, kind, exif=exif.tobytes())
    written = write_metadata(buffer.getvalue(), FACE_ID, METADATA)
    first = Image.Exif()
    first.load(split_image(written).exif)
    assert first[ExifTags.Base.Make] == "jetson"
    assert first.get(ExifTags.Base.Orientation, 1) == orientation
    assert read_metadata(written) == (FACE_ID, METADATA)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_invalid_orientation_is_left_out(value):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "JPEG", exif=exif.tobytes())
    with Image.open(io.BytesIO(write_metadata(buffer.getvalue(), FACE_ID, METADATA))) as opened:
        assert ExifTags.Base.Orientation not in opened.getexif()


def test_accepts_a_camera_jpeg_with_an_embedded_preview():
    file, image = io.BytesIO(), Image.linear_gradient("L").convert("RGB")
    image.save(file, "MPO", save_all=True, append_images=[image.resize((64, 64))])
    with Image.open(io.BytesIO(file.getvalue())) as opened:
        assert opened.format == "MPO"
    assert read_image(file.getvalue(), max_pixels=1_000_000).suffix == "jpg"


def test_a_file_of_a_program_that_did_not_choose_was_chosen_from_one(monkeypatch):
    document = METADATA.document(FACE_ID)
    del document["chosen_from"]
    monkeypatch.setattr(FaceMetadata, "document", lambda *_: document)
    read = read_image(write_metadata(encoded("JPEG"), FACE_ID, METADATA), max_pixels=1_000_000).metadata
    assert read == replace(METADATA, chosen_from=1)


def test_the_visit_is_read_and_absent_in_early_files():
    visited = replace(METADATA, visit="0badcafe-5eed0001-7")
    written = write_metadata(encoded("JPEG"), FACE_ID, visited)
    assert read_image(written, max_pixels=1_000_000).metadata == visited
    assert read_metadata(written) == (FACE_ID, visited)
    early = read_metadata(write_metadata(encoded("JPEG"), FACE_ID, METADATA))
    assert early == (FACE_ID, replace(METADATA, visit=""))


@pytest.mark.parametrize("chosen_from", ["many", None, [], float("inf")])
def test_refuses_an_invalid_number_of_frames(chosen_from):
    written = write_metadata(encoded("JPEG"), FACE_ID, replace(METADATA, chosen_from=chosen_from))
    with pytest.raises(MessageError) as refused:
        read_image(written, max_pixels=1_000_000)
    assert refused.value.reason == "bad-metadata"


@pytest.mark.parametrize(
    "values",
    [
        *({"clock_synchronised": value} for value in ([], {}, "yes", 1, 0.0)),
        *({"why": value} for value in ([], {}, None, 1, True)),
        *({name: 2**63} for name in ("track", "chosen_from")),
        *({"frame_size": (1280, value)} for value in (2**63, -(10**400))),
    ],
)
def test_refuses_a_value_that_no_edge_writes(values):
    written = write_metadata(encoded("JPEG"), FACE_ID, replace(METADATA, **values))
    with pytest.raises(MessageError) as refused:
        read_metadata(written)
    assert refused.value.reason == "bad-metadata"


def test_reads_a_reason_that_a_newer_edge_has_added():
    """Only another schema needs another cloud."""
    newer = replace(METADATA, why="smiles")
    assert read_metadata(write_metadata(encoded("JPEG"), FACE_ID, newer)) == (FACE_ID, newer)


@pytest.mark.parametrize("comment", [b"ASCII\x00\x00\x00Screenshot", b"", b"\xff", b'ASCII\x00\x00\x00{"track": 1}'])
def test_the_tags_of_a_phone_are_no_metadata(comment):
    exif = Image.Exif()
    tags = {ExifTags.Base.ImageUniqueID: "A12LLHA00VM", ExifTags.Base.UserComment: comment}
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "JPEG", exif=exif.tobytes())
    assert read_metadata(buffer.getvalue()) == (None, None)


def test_bare_image_has_no_metadata():
    bare = read_image(encoded("PNG"), max_pixels=1_000_000)
    assert (bare.face_id, bare.metadata) == (None, None)


def test_names_the_version_that_captured_the_face():
    image = encoded("JPEG")
    named = read_image(write_metadata(image, FACE_ID, replace(METADATA, version="0.2.0")), max_pixels=1_000_000)
    older = read_image(write_metadata(image, FACE_ID, METADATA), max_pixels=1_000_000)
    assert named.metadata
    assert older.metadata
    assert (named.metadata.version, older.metadata.version) == ("0.2.0", "")


@pytest.mark.parametrize(
    ("image", "sha256"),
    [
        (b"\xff\xd8\xff\xd9", "87741f43096c19cf5f2f44e3478cffad7f4b88a6f130ff98582056f3e47a6b86"),
        (PNG + bytes(25) + b"rest", "915834fc3d8e727e1042b8e71ed7fb36f489eb74f2a27d2c35707cb873959e4b"),
    ],
    ids=["JPEG", "PNG"],
)
def test_writes_the_same_bytes_as_earlier_versions(image, sha256):
    assert hashlib.sha256(write_metadata(image, FACE_ID, METADATA)).hexdigest() == sha256


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not-an-image"),
        (encoded("JPEG")[:900], "not-an-image"),
        (encoded("GIF"), "not-an-image"),
    ],
)
def test_garbage_is_refused_with_its_reason(payload, reason):
    with pytest.raises(MessageError) as refused:
        read_image(payload, max_pixels=1_000_000)
    assert refused.value.reason == reason


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from face_app.common.errors import MessageError
from face_app.common.metadata import read_image

payload = sys.stdin.buffer.read()
pages = int(Path("/proc/self/statm").read_text().split()[0])
for spare in (20_000_000, 500_000_000):
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + spare, -1))
    try:
        print(read_image(payload, max_pixels=10**8).size)
    except MemoryError:
        print("no memory")
    except MessageError as error:
        print(error.reason)
"""


def test_a_shortage_of_memory_is_no_fault_of_the_image():
    file = io.BytesIO()
    Image.new("RGB", (5000, 5000)).save(file, "PNG")
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY],
        input=file.getvalue(),
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
    )
    assert done.stdout.decode().splitlines() == ["no memory", "(5000, 5000)"]


def test_an_error_of_the_machine_is_no_fault_of_the_image(monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match="Input/output"):
        read_image(encoded("PNG"), max_pixels=1_000_000)


def test_a_later_schema_names_the_remedy(monkeypatch):
    monkeypatch.setattr("face_app.common.metadata.SCHEMA", 2)
    written = write_metadata(encoded("PNG"), FACE_ID, METADATA)
    monkeypatch.undo()
    with pytest.raises(MessageError, match="2, this program reads 1; upgrade the cloud, then `face-app retry`"):
        read_image(written, max_pixels=1_000_000)


def test_large_images_are_refused_before_decoding():
    with pytest.raises(MessageError) as refused:
        read_image(encoded("PNG"), max_pixels=100)
    assert refused.value.reason == "too-many-pixels"


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exiftool_reads_it(tmp_path, kind):
    file = tmp_path / "face"
    file.write_bytes(write_metadata(encoded(kind), FACE_ID, METADATA))
    output = subprocess.run(["exiftool", "-s", file], check=True, capture_output=True, text=True).stdout
    for line in ("0badcafe00000000000000000000002a", "jetson", "door", "+00:00", '"sequence":42', '"chosen_from":12'):
        assert line in output
    assert "2026:11:22 18:30:01.123456+00:00" in output
    assert "Warning" not in output
