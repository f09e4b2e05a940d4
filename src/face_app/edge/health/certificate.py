"""Read when the certificate of an edge expires."""

import logging
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 65_536
"""Maximum bytes of the file: a certificate with its chain has less than ten thousand."""
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class Certificate:
    """Reads the file again when it changes, because a renewal does not restart the program."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, ...] | None = None
        self._expires_at: datetime | None = None

    def days_left(self) -> float | None:
        """Return the days until it expires, negative afterwards; None if there is no certificate, or none to read."""
        if self._file:
            self._read(self._file)
        if self._expires_at is None:
            return None
        return round((self._expires_at - datetime.now(timezone.utc)).total_seconds() / 86_400, 3)

    def _read(self, file: Path) -> None:
        try:
            found = file.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen == self._seen:
                return
            self._expires_at = None
            with file.open("rb") as opened:
                self._expires_at = expiry_of(opened.read(MAX_BYTES).decode("ascii"))
            self._seen = seen
        except (OSError, ValueError) as error:
            if self._seen != ():  # once, until it can be read again
                log.warning("certificate %s cannot be read, so its last day is unknown: %s", file, error)
            self._seen, self._expires_at = (), None


def expiry_of(text: str) -> datetime:
    """Return the last moment of the first certificate in a PEM file.

    The edge has no library for certificates: their wheels are larger than the program. RFC 5280, section 4.1, has
    the order of the fields.

    Raises:
        ValueError: There is none, or it is damaged.
    """
    begin, end = text.find(_BEGIN), text.find(_END)
    if not 0 <= begin < end:
        raise ValueError("no certificate in PEM")
    certificate = ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)])
    fields = _elements(_content(_content(certificate, _SEQUENCE), _SEQUENCE))
    # Version (which old ones lack), serial number, algorithm, issuer, validity.
    _, _, _, (kind, validity), *_ = [field for field in fields if field[0] != _VERSION] + [(0, b"")] * 4
    times = list(_elements(validity))
    if kind != _SEQUENCE or len(times) != 2:
        raise ValueError("the certificate has no first and last moment")
    kind, last = times[1]
    return _time(kind, last.decode("ascii"))


def _time(kind: int, text: str) -> datetime:
    if kind == _UTC_TIME:  # two digits of the year: from 50 on it is the last century
        text = ("19" if text >= "50" else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError("no time in the validity of the certificate")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _content(data: bytes, kind: int) -> bytes:
    """Return the content of the first element of some DER.

    Raises:
        ValueError: It is of another kind, or cut off.
    """
    found, content = next(_elements(data), (0, b""))
    if found != kind:
        raise ValueError("the certificate is damaged")
    return content


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of each element of some DER.

    Raises:
        ValueError: The last one is cut off.
    """
    at = 0
    while at < len(data):
        kind, length, at = data[at], data[at + 1] if at + 1 < len(data) else 0, at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("the certificate is cut off")
        yield kind, data[at : at + length]
        at += length
