"""The CPU time of any message is bounded by its bytes and its pixels, whatever structure hides in it."""

import time
from collections.abc import Iterator
from random import Random

import pytest

from fuzz import seeds
from fuzz.invariants import LIMITS, validated
from fuzz.mutate import mutated
from support import heavy

SECONDS = 0.5
"""CPU seconds for any message: the decoder is started, and tables are built."""
SECONDS_PER_MEGABYTE = 1.0
"""CPU seconds for each 10^6 bytes; measured: 0.05."""
SECONDS_PER_MEGAPIXEL = 0.5
"""CPU seconds for each 10^6 pixels within the limit, all scans together; measured: 0.06."""


def assert_cheap(payload: bytes, pixels: int) -> None:
    """Validate twice, as `validated` does, and bound the CPU time of this process."""
    began = time.process_time()
    validated(seeds.FACE.topic, payload)
    spent = (time.process_time() - began) / 2
    bound = SECONDS + SECONDS_PER_MEGABYTE * len(payload) / 1e6 + SECONDS_PER_MEGAPIXEL * pixels / 1e6
    assert spent < bound, f"{spent:.1f} s for {len(payload)} bytes and {pixels} pixels"


def structures(random: Random) -> Iterator[bytes]:
    """Files whose structure a parser and a decoder may read differently."""
    size = random.choice((64, 512, 1500))
    count = random.choice((10, 70, 400))
    marker = random.choice((0x00, 0x01, 0xD0, 0xD7, 0xD8, 0xD9, 0xFE, 0xE1, 0xDD, 0xC4, 0xDC))
    scans = seeds.scans(count, size)
    yield seeds.hidden_scans(marker, count, size)
    yield scans[:2] + seeds.segment(marker, random.randbytes(random.randint(0, 9)) + b"\xff\xda") * 100 + scans[2:]
    yield scans.replace(b"\xff\xda", b"\xff" * random.randint(1, 1000) + b"\xff\xda")
    yield scans[:-2] + bytes((0xFF, marker)) * 50_000 + scans[-2:]
    yield scans + scans
    yield seeds.picture("JPEG", 16)[:-2] + scans
    png = seeds.picture("PNG", size)
    name = random.choice((b"tEXt", b"zTXt", b"iCCP", b"fcTL", b"acTL", b"IDAT", b"eXIf", b"abcd"))
    yield png[:33] + seeds.chunk(name, random.randbytes(random.randint(0, 100))) * 9000 + png[33:]
    yield png[:-12] + seeds.chunk(b"IDAT", b"") * 9000 + png[-12:]
    yield png + png


@pytest.mark.parametrize("seed", range(40))
def test_hidden_structure_costs_no_cpu_time(seed):
    random = Random(seed)
    for payload in structures(random):
        assert_cheap(payload, 1500**2)
        assert_cheap(mutated(payload, random.choice(seeds.corpus()), random), 1500**2)


@pytest.mark.parametrize("attack", heavy.HEAVY)
def test_the_heaviest_messages_are_within_the_bound(attack):
    assert_cheap(next(heavy.HEAVY[attack]()), LIMITS.pixels)
