"""Decode picture files that OpenCV supports only in part, and refuse pictures of which FFmpeg reads only a part."""

import struct
from pathlib import Path

import cv2
import numpy as np

from face_app.common.errors import SourceError
from face_app.edge.sources.decoder import Decoded
from face_app.edge.sources.file_name import native_name, printable_name

SENSOR_BITS = (8, 10, 12, 14, 16)
"""Depths of cameras. A picture of 12 bits is stored in 16, and without scaling it is nearly black."""
MAX_FLOAT = 255.0
"""Maximum value of a float picture; values above it have no common scale."""
HEAD_BYTES = 1 << 20
"""Number of bytes in which the description of an HEIF picture is searched; a phone's has less than 10 kB."""
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"}
"""Brands of files that contain a picture. Its parts and turns are in `PARTS`."""
PARTS = (b"grid", b"iovl", b"irot", b"imir", b"clap")
"""Types of an HEIF picture that consists of several, or that is turned or cropped: FFmpeg reads one part, unturned."""

ORIENTATION_TAG = 274
SHORT = 3
"""Type of a TIFF entry with values of 16 bits."""


def decode_picture(path: Path) -> Decoded:
    """Decode a picture in colour and upright: H x W x 3, BGR, 8 bits.

    Raises:
        SourceError: The picture is truncated or too large, or has values that cannot be scaled to 8 bits.
    """
    with native_name(path) as name:
        image = _read(path, name)
    if image is None:
        raise SourceError(f"{printable_name(path)}: cannot be decoded to its end; set camera.source to another file")
    eight_bits = to_8_bits(image)
    if eight_bits is None:
        raise SourceError(
            f"{printable_name(path)}: has {image.dtype} values that are not brightness; convert it to 8 or 16 bits"
        )
    return eight_bits


def to_8_bits(image: Decoded) -> Decoded | None:
    """Scale values to 8 bits; return None if their scale is unknown.

    Args:
        image: 8 bits; 16 bits, of which a camera may use 10, 12 or 14; or float, from 0 to 1 or to 255.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        used = int(image.max()).bit_length()
        return (image >> (next(bits for bits in SENSOR_BITS if bits >= used) - 8)).astype(np.uint8)
    if image.dtype.kind != "f" or not np.isfinite(image).all() or image.min() < 0 or image.max() > MAX_FLOAT:
        return None
    brightness: Decoded = np.rint(image * (255 if image.max() <= 1 else 1)).astype(np.uint8)
    return brightness


def refuse_partial_picture(path: Path) -> None:
    """Refuse an HEIF picture of which FFmpeg reads only a part.

    Raises:
        SourceError: The picture is made of tiles, turned or cropped.
    """
    description = _heif_description(path)
    if any(part in description for part in PARTS):
        raise SourceError(
            f"{printable_name(path)}: is an HEIF picture made of tiles, turned or cropped, of which only a part would "
            "be read; convert it to JPEG"
        )


def _heif_description(path: Path) -> bytes:
    """Return the box `meta` of an HEIF picture; empty for another file, and for what is no regular file."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # the decoder reports it
        return b""
    at = head.find(b"meta")
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS or at < 0:
        return b""
    return head[at : at + int.from_bytes(head[at - 4 : at], "big")]


def _read(path: Path, name: str) -> Decoded | None:
    """Decode at the depth of the file. OpenCV cannot turn a TIFF by 90 degrees, so this is done here."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    try:
        with path.open("rb") as file:
            is_tiff = file.read(4) in (b"II*\0", b"MM\0*")
        data = bytearray(path.read_bytes()) if is_tiff else bytearray()
        orientation = _take_orientation(data) if is_tiff else 1
        if orientation == 1:
            return cv2.imread(name, flags)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, OSError):  # cv2.error: the header declares more pixels than OpenCV accepts
        return None
    return None if image is None else _upright(image, orientation)


def _take_orientation(data: bytearray) -> int:
    """Set the orientation of the first picture of a TIFF to upright, and return the former one; 1 if it has none."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", data, entry)
            if (tag, kind) == (ORIENTATION_TAG, SHORT):
                struct.pack_into(f"{order}H", data, entry + 8, 1)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # a damaged file: OpenCV reports it
        pass
    return 1


def _upright(image: Decoded, orientation: int) -> Decoded:
    """Turn and mirror a picture whose TIFF orientation is given: 1 to 8."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
