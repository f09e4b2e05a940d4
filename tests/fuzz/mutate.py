"""Mutations of image files by segment and chunk: random bytes alone nearly always fail at the first byte."""

import re
import zlib
from collections.abc import Callable
from random import Random

_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_CHUNK = re.compile(rb"[a-zA-Z]{4}")
_NUMBERS = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\x00\x01",
]
_TEXTS = [
    b"../",
    b"\x00",
    b"/",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-1",
    b"null",
    b"[[[[",
    b'"\\ud800"',
    b"\xed\xa0\x80",
    b"\n",
]


def mutated(payload: bytes, other: bytes, random: Random) -> bytes:
    """Change a message a few times; `other` lends parts."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        payload = random.choice(_MUTATIONS)(payload, other, random)
    return mended(payload) if random.random() < 0.9 else payload


def mended(payload: bytes) -> bytes:
    """Give each chunk of a PNG its right checksum, or no decoder would read them."""
    if not payload.startswith(b"\x89PNG"):
        return payload
    parts, at = [payload[:8]], 8
    while at + 12 <= len(payload):
        end = at + 8 + int.from_bytes(payload[at : at + 4], "big")
        if end + 4 > len(payload):
            break
        parts += [payload[at:end], zlib.crc32(payload[at + 4 : end]).to_bytes(4, "big")]
        at = end + 4
    return b"".join((*parts, payload[at:]))


def _put(payload: bytes, _: bytes, random: Random) -> bytes:
    at, new = random.randint(0, len(payload)), random.choice(_NUMBERS + _TEXTS)
    return payload[:at] + new + payload[at + random.choice((0, len(new))) :]


def _reword(payload: bytes, _: bytes, random: Random) -> bytes:
    """Replace bytes in or before the metadata at the same length, so that the file remains complete."""
    at = payload.find(b"ASCII\x00")
    if at < 0:
        return payload
    at = random.randint(max(0, at - 250), min(len(payload), at + 400))
    new = random.choice((*_NUMBERS, *_TEXTS, random.randbytes(1), b"%d" % random.randint(0, 99)))
    return payload[:at] + new + payload[at + len(new) :]


def _flip(payload: bytes, _: bytes, random: Random) -> bytes:
    changed = bytearray(payload)
    for _ in range(random.randint(1, 8) if payload else 0):
        changed[random.randrange(min(len(changed), random.choice((100, 1000, 10**6))))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(payload: bytes, _: bytes, random: Random) -> bytes:
    start, end = sorted(random.randint(0, len(payload)) for _ in range(2))
    return random.choice((payload[:start], payload[:start] + payload[end:], payload[:end] + payload[start:]))


def _splice(payload: bytes, other: bytes, random: Random) -> bytes:
    return payload[: random.randint(0, len(payload))] + other[random.randint(0, len(other)) :]


def _length(payload: bytes, _: bytes, random: Random) -> bytes:
    """Let a segment or a chunk say another length than it has."""
    places = [m.end() for m in _SEGMENT.finditer(payload)] + [m.start() - 2 for m in _CHUNK.finditer(payload)]
    if not places:
        return payload
    at = max(0, random.choice(places))
    return (
        payload[:at] + random.choice((b"\x00\x00", b"\x00\x02", b"\xff\xff", random.randbytes(2))) + payload[at + 2 :]
    )


def _shuffle(payload: bytes, other: bytes, random: Random) -> bytes:
    """Change the order of the parts, or take some from another message."""
    parts = _parts(payload)
    if len(parts) < 3:
        return payload
    here, there = random.randrange(1, len(parts)), random.randrange(1, len(parts))
    parts[here], parts[there] = parts[there], parts[here]
    if random.random() < 0.3:
        parts.insert(here, random.choice(_parts(other) or [b""]))
    return b"".join(parts)


def _parts(payload: bytes) -> list[bytes]:
    if payload.startswith(b"\x89PNG"):
        starts = [
            0,
            *(match.start() - 4 for match in re.finditer(rb"IHDR|PLTE|tRNS|eXIf|acTL|fcTL|IDAT|IEND", payload)),
        ]
    else:
        starts = [0, *(match.start() for match in _SEGMENT.finditer(payload, 2))]
    return [payload[start:end] for start, end in zip(starts, [*starts[1:], len(payload)], strict=True)]


_MUTATIONS: list[Callable[[bytes, bytes, Random], bytes]] = [
    _reword,
    _reword,
    _reword,
    _put,
    _flip,
    _cut,
    _splice,
    _length,
    _shuffle,
]
