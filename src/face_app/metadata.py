"""The story inside the file: EXIF that any tool can read, and how it gets in and out.

Standard tags are used where one exists (CIPA DC-008, Exif 2.32); the rest is one JSON document in
UserComment. The pixels are never encoded again: the EXIF block is put into the encoded file as it is.
"""

import io
import json
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from PIL import ExifTags, Image

from face_app.errors import MessageError
from face_app.wire import FaceId

SCHEMA = 1
Why = Literal["first", "again", "better", "final", "verify"]

# Pillow's own limit warns or raises by a global; ours is an argument, checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

_COMMENT = b"ASCII\x00\x00\x00"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 33  # signature, then the IHDR chunk of fixed size


@dataclass(frozen=True)
class FaceMetadata:
    """What is known about one face.

    Attributes:
        id: Which face.
        edge: The box that saw it.
        camera: The camera that saw it.
        captured_at: When its frame was taken (aware).
        track: Number of the visit this shot belongs to, per camera and run.
        frame_size: Width and height of the whole frame, pixels.
        box: x1, y1, x2, y2 of the face in the frame, pixels.
        landmarks: Right eye, left eye, nose, right and left mouth corner as x, y in the frame, or empty.
        detector: Name of the detector.
        score: The detector's confidence, 0 to 1.
        shot_score: How good a picture this is, 0 to 1.
        shot_terms: What `shot_score` is made of.
        why: Why this shot was taken.
        clock_synchronised: Whether the clock was set by a time server; None where that is not known.
    """

    id: FaceId
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
    why: Why
    clock_synchronised: bool | None

    def document(self) -> dict[str, Any]:
        """The part that has no standard tag, as plain JSON values."""
        rest = asdict(self)
        for tagged in ("id", "edge", "camera", "captured_at"):
            del rest[tagged]
        return {"schema": SCHEMA, "sequence": self.id.sequence, **rest}


def write_metadata(image: bytes, metadata: FaceMetadata) -> bytes:
    """Put the metadata into an encoded JPEG or PNG; the pixels stay as they are."""
    exif = _exif(metadata).tobytes()
    if image.startswith(_PNG):
        body = b"eXIf" + exif.removeprefix(b"Exif\x00\x00")
        chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return image[:_PNG_HEADER] + chunk + image[_PNG_HEADER:]
    return image[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + image[2:]


def _exif(metadata: FaceMetadata) -> Image.Exif:
    base, detail = ExifTags.Base, ExifTags.IFD.Exif
    taken = metadata.captured_at.astimezone(timezone.utc)
    comment = json.dumps(metadata.document(), separators=(",", ":"))
    exif = Image.Exif()
    exif[base.Make] = metadata.edge
    exif[base.Model] = metadata.camera
    exif.get_ifd(detail).update(
        {
            base.DateTimeOriginal: taken.strftime("%Y:%m:%d %H:%M:%S"),
            base.OffsetTime: "+00:00",
            base.OffsetTimeOriginal: "+00:00",
            base.SubsecTimeOriginal: f"{taken.microsecond:06d}",
            base.ImageUniqueID: str(metadata.id),
            base.UserComment: _COMMENT + comment.encode("ascii"),
        }
    )
    return exif


@dataclass(frozen=True)
class FaceImage:
    """An image that was decoded to its last pixel.

    Attributes:
        suffix: ``jpg`` or ``png``.
        size: Width and height, pixels.
        metadata: The story inside, or None for a bare image such as the write-up's.
    """

    suffix: str
    size: tuple[int, int]
    metadata: FaceMetadata | None


def read_image(payload: bytes, *, max_pixels: int) -> FaceImage:
    """Check that a payload is one whole JPEG or PNG and read its metadata.

    Args:
        payload: The bytes as they arrived.
        max_pixels: Refuse more than this before anything is decoded.

    Raises:
        MessageError: With the reason ``empty``, ``not-an-image``, ``too-many-pixels``, ``bad-metadata`` or
            ``unknown-schema``.
        MemoryError: This machine is short of memory; nothing is known about the image.
        OSError: This machine fails in another way; nothing is known about the image.
    """
    if not payload:
        raise MessageError("empty", "the message has no payload")
    try:
        with Image.open(io.BytesIO(payload), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > max_pixels:
                raise MessageError("too-many-pixels", f"{image.width}x{image.height} > {max_pixels}")
            image.load()
            # Pillow calls the JPEG of a camera that keeps a preview beside the picture MPO.
            suffix = "png" if image.format == "PNG" else "jpg"
            return FaceImage(suffix, image.size, _metadata(image.getexif()))
    except (MessageError, MemoryError):
        raise
    except Exception as error:
        # Pillow's own OSErrors carry no errno. One that does tells of this machine, as a MemoryError does.
        if isinstance(error, OSError) and error.errno:
            raise
        raise MessageError("not-an-image", f"{type(error).__name__}: {error}"[:200]) from error


def _metadata(exif: Image.Exif) -> FaceMetadata | None:
    base = ExifTags.Base
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    comment = detail.get(base.UserComment)
    if base.ImageUniqueID not in detail or not isinstance(comment, bytes):
        return None
    try:
        document = json.loads(comment.removeprefix(_COMMENT))
        if document["schema"] != SCHEMA:
            cure = "upgrade the cloud, then `face-app retry` at the edge sends it again"
            raise MessageError("unknown-schema", f"{document['schema']!r:.20}, this program reads {SCHEMA}; {cure}")
        when = f"{detail[base.DateTimeOriginal]}.{detail[base.SubsecTimeOriginal]}"
        metadata = FaceMetadata(
            id=FaceId.parse(detail[base.ImageUniqueID]),
            edge=str(exif[base.Make]),
            camera=str(exif[base.Model]),
            captured_at=datetime.strptime(when, "%Y:%m:%d %H:%M:%S.%f").replace(tzinfo=timezone.utc),
            track=int(document["track"]),
            frame_size=_whole(document["frame_size"], 2),
            box=_whole(document["box"], 4),
            landmarks=tuple((float(x), float(y)) for x, y in document["landmarks"]),
            detector=str(document["detector"]),
            score=float(document["score"]),
            shot_score=float(document["shot_score"]),
            shot_terms={str(name): float(term) for name, term in document["shot_terms"].items()},
            why=document["why"],
            clock_synchronised=document["clock_synchronised"],
        )
    except MessageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MessageError("bad-metadata", f"{error!r}"[:200]) from error
    if metadata.id.sequence != document["sequence"]:
        raise MessageError("bad-metadata", f"id {metadata.id} is not of sequence {document['sequence']}")
    return metadata


def _whole(values: list[int], count: int) -> Any:
    numbers = tuple(int(value) for value in values)
    if len(numbers) != count:
        raise ValueError(f"{values} has not {count} numbers")
    return numbers
