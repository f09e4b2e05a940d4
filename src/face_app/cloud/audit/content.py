"""Whether objects hold the bytes that their names promise."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

THREADS = 16
_AT_HAND = 1024
"""Objects asked for before the next are: the threads stay busy, and a million of them need no memory."""


def wrong_contents(
    read: Callable[[str], bytes | None], claims: Iterable[tuple[str, str | None]]
) -> Iterator[tuple[str, str]]:
    """Read every object and compare it; nothing of it is kept.

    Args:
        read: Fetches an object, None where there is none; safe to use from several threads.
        claims: Keys of faces, each with the SHA-256 that it must have where that is known.

    Yields:
        Each key with why it is wrong; empty where it is right.

    Raises:
        StoreError: An object cannot be read.
    """

    def judge(claim: tuple[str, str | None]) -> tuple[str, str]:
        key, sha256 = claim
        return key, _why_wrong(read(key), key, sha256)

    rest = iter(claims)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(rest, _AT_HAND)):
            yield from pool.map(judge, batch)


def _why_wrong(data: bytes | None, key: str, sha256: str | None) -> str:
    if data is None:
        return "gone since it was listed"
    found = hashlib.sha256(data).hexdigest()
    if found[:12] != key.rpartition("-")[2].partition(".")[0]:
        return f"its SHA-256 begins with {found[:12]}, not as its name says"
    if sha256 not in {None, found}:
        return f"its SHA-256 is {found}, the ledger says {sha256}"
    return ""
