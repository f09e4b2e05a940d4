"""Compare the content of objects with the hashes in their names and ledgers."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

THREADS = 16
"""Number of parallel fetches."""
_BATCH = 1024
"""Number of objects requested at a time: enough work for all threads, with bounded memory."""


def wrong_contents(
    read: Callable[[str], bytes | None], objects: Iterable[tuple[str, str | None]]
) -> Iterator[tuple[str, str]]:
    """Read and compare every object.

    Args:
        read: Returns the content of an object, or None if the object does not exist; thread-safe.
        objects: Keys of faces, each with the SHA-256 in its ledger or None.

    Yields:
        Each key with the reason why its object is wrong; the reason is empty for a correct object.

    Raises:
        StoreError: An object cannot be read.
    """

    def compare(expected: tuple[str, str | None]) -> tuple[str, str]:
        key, sha256 = expected
        return key, _why_wrong(read(key), key, sha256)

    rest = iter(objects)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(rest, _BATCH)):
            yield from pool.map(compare, batch)


def _why_wrong(data: bytes | None, key: str, sha256: str | None) -> str:
    if data is None:
        return "deleted since it was listed"
    found = hashlib.sha256(data).hexdigest()
    hash_in_name = key.rpartition("-")[2].partition(".")[0]
    if found[:12] != hash_in_name:
        return f"its SHA-256 begins with {found[:12]}, its name has another"
    if sha256 not in {None, found}:  # None: no ledger lists this key
        return f"its SHA-256 is {found}, the ledger has {sha256}"
    return ""
