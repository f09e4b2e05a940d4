"""Write and read the metadata of a face: EXIF inside its image file.

A value with a standard tag (CIPA DC-008, Exif 2.32) is in that tag. The other values are one JSON document in
UserComment. The EXIF block is inserted into the encoded file, so pixels are never encoded twice.
"""

import io
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from PIL import ExifTags, Image, UnidentifiedImageError

from face_app.common.errors import MessageError
from face_app.common.image_container import PNG, read_exif, read_orientation, split_image
from face_app.common.wire import FaceId

SCHEMA = 1
Why = Literal["first", "again", "better", "final", "only", "received", "verify"]
"""Reasons that an edge writes; "again" is only in files of early versions."""

# Pillow's own limit is a global. `decoded_size` checks its argument before it decodes.
Image.MAX_IMAGE_PIXELS = None

MAX_SCANNED_PIXELS = 160_000_000
"""Maximum of width x height x scans: each scan of a JPEG costs the decoder a pass over all pixels, 1 to 4 ns per pixel.
A progressive face of 4 megapixels in 10 scans has 40 million."""

_COMMENT = b"ASCII\x00\x00\x00"
_TAGS = {
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.DateTimeOriginal,
    ExifTags.Base.SubsecTimeOriginal,
    ExifTags.Base.ImageUniqueID,
    ExifTags.Base.UserComment,
}
_PNG_HEADER = 33  # signature, then the IHDR chunk of fixed size


@dataclass(frozen=True)
class FaceMetadata:
    """Describes one face.

    Attributes:
        edge: Name of the edge.
        camera: Name of the camera.
        captured_at: Capture time of its frame (aware).
        track: Number of its visit; each run of a camera counts from 1.
        frame_size: Width and height of the whole frame, pixels.
        box: x1, y1, x2, y2 of the face in the frame, pixels.
        landmarks: Right eye, left eye, nose, right and left mouth corner as x, y in the frame, or empty.
        detector: Name of the detector.
        score: The detector's confidence, 0 to 1.
        shot_score: Quality of the picture, 0 to 1.
        shot_terms: Terms of `shot_score` by name, 0 to 1 each: confidence, frontal, size, whole, clear, sharp, light;
            and eyes and face, if the face mesh has checked the picture.
        why: Reason for this shot: one of `Why`, or one that a newer edge has added.
        chosen_from: Number of detections of which this shot is the best; 1 in files of early versions.
        clock_synchronised: True if a time server had set the clock; None if unknown.
        version: Version of the program that captured the face; empty in files of versions before 0.2.
        visit: Id of its visit, `<outbox>-<run>-<track>`, unique per edge; empty in files of early versions.
    """

    edge: str
    camera: str
    captured_at: datetime
    track: int
    frame_size: tuple[int, int]
    box: tuple[int, int, int, int]
    landmarks: tuple[tuple[float, float], ...]
    detector: str
    score: float
    shot_score: float
    shot_terms: dict[str, float]
    why: str
    clock_synchronised: bool | None
    chosen_from: int = 1
    version: str = ""
    visit: str = ""

    def document(self, face_id: FaceId) -> dict[str, Any]:
        """Return the values that have no standard tag, as plain JSON values."""
        rest = asdict(self)
        for tagged in ("edge", "camera", "captured_at"):
            del rest[tagged]
        for added in ("version", "visit"):  # a file of an earlier version is written again without them
            if not rest[added]:
                del rest[added]
        return {"schema": SCHEMA, "sequence": face_id.sequence, **rest}


def write_metadata(image: bytes, face_id: FaceId, metadata: FaceMetadata) -> bytes:
    """Insert the id and the metadata into an encoded JPEG or PNG; the pixels do not change.

    Viewers read only the first EXIF block, which is the new one. So it repeats the orientation: otherwise they would no
    longer turn the picture of another program.
    """
    exif = _exif(face_id, metadata, _orientation(image)).tobytes()
    if image.startswith(PNG):
        body = b"eXIf" + exif.removeprefix(b"Exif\x00\x00")
        chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return image[:_PNG_HEADER] + chunk + image[_PNG_HEADER:]
    return image[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + image[2:]


def _orientation(image: bytes) -> int:
    try:
        return read_orientation(split_image(image).exif)
    except MessageError:  # the cloud refuses the file and says why, so it is not checked here
        return 1


def _exif(face_id: FaceId, metadata: FaceMetadata, orientation: int) -> Image.Exif:
    base, detail = ExifTags.Base, ExifTags.IFD.Exif
    taken = metadata.captured_at.astimezone(timezone.utc)
    comment = json.dumps(metadata.document(face_id), separators=(",", ":"))
    exif = Image.Exif()
    exif[base.Make] = metadata.edge
    exif[base.Model] = metadata.camera
    if orientation != 1:
        exif[base.Orientation] = orientation
    exif.get_ifd(detail).update(
        {
            base.DateTimeOriginal: taken.strftime("%Y:%m:%d %H:%M:%S"),
            base.OffsetTime: "+00:00",
            base.OffsetTimeOriginal: "+00:00",
            base.SubsecTimeOriginal: f"{taken.microsecond:06d}",
            base.ImageUniqueID: str(face_id),
            base.UserComment: _COMMENT + comment.encode("ascii"),
        }
    )
    return exif


@dataclass(frozen=True)
class FaceImage:
    """Describes an image that was decoded completely.

    Attributes:
        suffix: ``jpg`` or ``png``.
        size: Width and height, pixels.
        face_id: Id of the face; None if the image has no metadata.
        metadata: Metadata of the face; None if the image has none.
    """

    suffix: str
    size: tuple[int, int]
    face_id: FaceId | None
    metadata: FaceMetadata | None


def decoded_size(pixels: bytes, max_pixels: int, scans: int) -> tuple[int, int]:
    """Decode all data of an image; return its width and height.

    A JPEG is decoded at an eighth of its size. All data are still read, so a missing or broken part is found.

    Args:
        pixels: An image file without metadata.
        max_pixels: Maximum of width x height, checked before decoding.
        scans: Number of scans, as counted by `split_image`.

    Raises:
        MessageError: With the reason ``not-an-image``, ``too-many-pixels`` or ``too-many-scans``.
        MemoryError: This machine is out of memory; the image may be valid.
        OSError: This machine failed; the image may be valid.
    """
    try:
        with Image.open(io.BytesIO(pixels), formats=("JPEG", "PNG")) as image:
            size = f"{image.width}x{image.height}"
            if image.width * image.height > max_pixels:
                raise MessageError("too-many-pixels", f"{size} > {max_pixels}")
            if image.width * image.height * scans > MAX_SCANNED_PIXELS:
                raise MessageError("too-many-scans", f"{size} in {scans} scans > {MAX_SCANNED_PIXELS} pixels in all")
            width, height = image.size
            image.draft(None, (1, 1))  # the smallest scale, at which all data are read too
            image.load()
            return int(width), int(height)
    except (MessageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        # Its message contains a memory address, which would differ for each copy of the message.
        raise MessageError("not-an-image", "a file that Pillow cannot identify") from error
    except Exception as error:
        # An OSError of Pillow has no errno. An OSError with an errno is a failure of this machine.
        if isinstance(error, OSError) and error.errno:
            raise
        raise MessageError("not-an-image", f"{type(error).__name__}: {str(error)!r:.150}") from error


Decode = Callable[[bytes, int, int], tuple[int, int]]
"""The signature of `decoded_size`; the subscriber decodes in another process."""


def read_image(payload: bytes, *, max_pixels: int, decode: Decode = decoded_size) -> FaceImage:
    """Decode a payload as one complete JPEG or PNG and read its metadata.

    Args:
        payload: Received bytes.
        max_pixels: Maximum of width x height, checked before decoding.
        decode: Decodes the pixels.

    Raises:
        MessageError: With the reason ``empty``, ``not-an-image``, ``too-many-pixels``, ``too-many-scans``,
            ``bad-metadata`` or ``unknown-schema``; or a reason of `decode`.
        MemoryError: This machine is out of memory; the image may be valid.
        OSError: This machine failed; the image may be valid.
    """
    if not payload:
        raise MessageError("empty", "the message has no payload")
    parts = split_image(payload)
    size = decode(parts.pixels, max_pixels, parts.scans)
    return FaceImage(parts.suffix, size, *_parse_metadata(parts.exif))


def read_metadata(payload: bytes) -> tuple[FaceId, FaceMetadata] | tuple[None, None]:
    """Read the metadata of an image without decoding its pixels; None twice if it has none.

    Args:
        payload: Whole file.

    Raises:
        MessageError: With the reason ``not-an-image``, ``too-many-scans``, ``bad-metadata`` or ``unknown-schema``.
    """
    return _parse_metadata(split_image(payload).exif)


def _parse_metadata(exif: bytes) -> tuple[FaceId, FaceMetadata] | tuple[None, None]:
    base = ExifTags.Base
    tags = read_exif(exif, _TAGS)
    # A phone writes both tags too. Its comment is not the document of `FaceMetadata`, which names its schema.
    if base.ImageUniqueID not in tags or b'"schema"' not in tags.get(base.UserComment, b""):
        return None, None
    try:
        document = json.loads(tags[base.UserComment].removeprefix(_COMMENT))
        if document["schema"] != SCHEMA:
            advice = "upgrade the cloud, then `face-app retry` at the edge sends it again"
            raise MessageError("unknown-schema", f"{document['schema']!r:.20}, this program reads {SCHEMA}; {advice}")
        when = f"{_text(tags[base.DateTimeOriginal])}.{_text(tags[base.SubsecTimeOriginal])}"
        face_id = FaceId.parse(_text(tags[base.ImageUniqueID]))
        metadata = FaceMetadata(
            edge=_text(tags[base.Make]),
            camera=_text(tags[base.Model]),
            # `write_metadata` always writes UTC.
            captured_at=datetime.strptime(when, "%Y:%m:%d %H:%M:%S.%f").replace(tzinfo=timezone.utc),
            track=_integer(document["track"]),
            frame_size=_integers(document["frame_size"], 2),
            box=_integers(document["box"], 4),
            landmarks=tuple((float(x), float(y)) for x, y in document["landmarks"]),
            detector=str(document["detector"]),
            score=float(document["score"]),
            shot_score=float(document["shot_score"]),
            shot_terms={str(name): float(term) for name, term in document["shot_terms"].items()},
            why=_checked(document["why"], str),
            clock_synchronised=_checked(document["clock_synchronised"], bool | None),
            chosen_from=_integer(document.get("chosen_from", 1)),
            version=str(document.get("version", "")),
            visit=str(document.get("visit", "")),
        )
        if face_id.sequence != document["sequence"]:
            raise ValueError(f"id {face_id} is not of sequence {document['sequence']!r:.40}")
    except MessageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MessageError("bad-metadata", f"{error!r}"[:200]) from error
    return face_id, metadata


def _text(tag: bytes) -> str:
    return tag.removesuffix(b"\x00").decode("ascii")


def _integer(value: Any) -> int:
    """Return a number as an integer of at most 64 bits; a page cannot calculate with any longer one."""
    number = int(value)
    if abs(number) >= 2**63:
        raise OverflowError("an integer has more than 64 bits")
    return number


def _integers(values: list[int], count: int) -> Any:
    """Return a tuple of `count` integers."""
    numbers = tuple(_integer(value) for value in values)
    if len(numbers) != count:
        raise ValueError(f"{values} does not have {count} numbers")
    return numbers


def _checked(value: Any, expected: Any) -> Any:
    """Return a value if it has the expected type."""
    if not isinstance(value, expected):
        raise TypeError(f"{value!r:.40} is not of the type {expected}")
    return value
