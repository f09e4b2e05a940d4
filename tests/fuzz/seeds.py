"""Initial messages: valid and malicious ones."""

import io
import json
import struct
import zlib

from PIL import Image

from face_app.common.metadata import write_metadata
from support.faces import drawn_face, picture

FACE = drawn_face()


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def encoded(kind: str, size: int = 16, mode: str = "RGB", **options) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((size, size)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def reworded(*changes: tuple[bytes, bytes]) -> bytes:
    """Return a small face with other texts of the same length, so that every offset remains valid."""
    payload = write_metadata(picture("JPEG", 16), FACE.id, FACE.metadata)
    for before, after in changes:
        assert before in payload
        payload = payload.replace(before, after[: len(before)].ljust(len(before)))
    return payload


def with_comment(text: str) -> bytes:
    """Return a small PNG with this text in place of its metadata."""
    exif = Image.Exif()
    exif[0x10F], exif[0x110] = "jetson", "door"
    exif.get_ifd(0x8769).update({0xA420: str(FACE.id), 0x9286: b"ASCII\0\0\0" + text.encode("utf-8")})
    exif.get_ifd(0x8769).update({0x9003: "2026:11:22 18:30:01", 0x9291: "123456"})
    image = picture("PNG", 16)
    return image[:33] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + image[33:]


def nested_directories() -> bytes:
    """EXIF whose directory of details is itself."""
    block = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + bytes(4)
    image = picture("JPEG", 16)
    return image[:2] + segment(0xE1, b"Exif\0\0" + block) + image[2:]


def fractions(size: int) -> bytes:
    """EXIF that declares many fractions."""
    block = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)
    block += struct.pack("<HHHII", 1, 1, 5, size // 8, 44) + bytes(4) + struct.pack("<II", 3, 7) * (size // 8)
    image = picture("PNG", 16)
    return image[:33] + chunk(b"eXIf", block) + image[33:]


def declared(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and a little of its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000), 9)
    return picture("PNG")[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tall_jpeg() -> bytes:
    """A JPEG of 65,500 x 65,500 pixels, or so it says."""
    image = picture("JPEG", 16)
    at = image.index(b"\xff\xc0")
    return image[: at + 5] + b"\xff\xdc\xff\xdc" + image[at + 9 :]


def texts() -> bytes:
    """A PNG with five gigabytes of text in five megabytes."""
    image = picture("PNG", 16)
    return image[:33] + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)) * 5000 + image[33:]


def scans(count: int, size: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    image = encoded("JPEG", size, "L", progressive=True)
    return image[:-2] + image[image.rfind(b"\xff\xda") : -2] * count + image[-2:]


def interleaved_scans(count: int, size: int) -> bytes:
    """A progressive JPEG of four colours; a scan of all four comes again and again."""
    image = encoded("JPEG", size, "CMYK", progressive=True)
    first = image.index(b"\xff\xda")
    end = image.index(b"\xff", first + 2)
    while image[end + 1] == 0:  # a stuffed byte
        end = image.index(b"\xff", end + 2)
    refinement = bytearray(image[first:end])
    refinement[2 + 2 + 1 + 2 * 4 + 2] = 0x10  # successive approximation: from bit 1 to bit 0
    return image[:-2] + bytes(refinement) * count + image[-2:]


def arithmetic(size: int) -> bytes:
    """A JPEG that says it has arithmetic coding."""
    return encoded("JPEG", size, "L").replace(b"\xff\xc0", b"\xff\xc9", 1)


def hidden_scans(marker: int, count: int, size: int) -> bytes:
    """A progressive JPEG with repeated scans after a marker that has no length.

    libjpeg steps over the marker, reads an empty comment and decodes the scans. A parser that takes the next two bytes,
    FF FE, as a length skips 65,534 bytes.
    """
    file = io.BytesIO()
    Image.new("L", (size, size)).save(file, "JPEG", progressive=True)
    image = file.getvalue()
    first, table, last = image.index(b"\xff\xda"), image.rfind(b"\xff\xc4"), image.rfind(b"\xff\xda")
    hidden = segment(0xFE, b"") + image[table:last] + image[last:-2] * count
    padding = segment(0xFE, bytes(0xFFFE - len(hidden) - 4))
    return image[:first] + bytes((0xFF, marker)) + hidden + padding + image[first:]


def corpus() -> list[bytes]:
    """Small messages of every kind, to mutate."""
    metadata = FACE.metadata
    document = metadata.document(FACE.id)
    return [
        write_metadata(picture("JPEG", 16), FACE.id, metadata),
        write_metadata(picture("PNG", 16), FACE.id, metadata),
        write_metadata(encoded("JPEG", progressive=True), FACE.id, metadata),
        write_metadata(encoded("JPEG", mode="CMYK"), FACE.id, metadata),
        write_metadata(encoded("PNG", mode="RGBA"), FACE.id, metadata),
        write_metadata(encoded("PNG", mode="P"), FACE.id, metadata),
        write_metadata(encoded("PNG", mode="1"), FACE.id, metadata),
        encoded("MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))]),
        encoded("PNG", save_all=True, append_images=[Image.new("RGB", (16, 16))]),
        encoded("GIF"),
        encoded("TIFF"),
        encoded("BMP"),
        picture("JPEG", 16),
        nested_directories(),
        fractions(4000),
        scans(10, 16),
        *(hidden_scans(marker, 10, 16) for marker in (0x00, 0x01, 0xD0, 0xD7)),
        reworded((b"jetson", b"../../")),
        reworded((b"door", b"/etc")),
        reworded((b"0badcafe", b"../../..")),
        reworded((b"2026:11:22", b"0001:01:01")),
        with_comment("[" * 3000),
        with_comment("9" * 5000),
        with_comment(json.dumps(document)),
        *(
            with_comment(json.dumps({**document, "score": score}))
            for score in (float("nan"), float("inf"), 10**400, "\ud800")
        ),
        *(with_comment(json.dumps({**document, name: None})) for name in document),
        *(with_comment(json.dumps({**document, "sequence": value})) for value in ("\n\x00\u202e", 2**96, -1, True, [])),
        b"",
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n",
    ]
