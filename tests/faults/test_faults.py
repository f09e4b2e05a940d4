"""Checks that every committed face is stored once: under random faults, and in the full tier under each fault.

`faults.matrix` runs the catalogue with more seeds; `faults.soak` runs for a given number of minutes.
"""

import os
import sys
from pathlib import Path

import pytest

from faults.faults import CATALOGUE, kill_any, random_faults
from faults.run import run
from faults.upgrade import upgrade
from support.formats import new_format_1, new_format_3

SECONDS_OF_ATTACKS = 15
"""Seconds of the faults that act slowly."""
FEWEST_STORED = 4
"""One face of so many at least is stored during an attack, also on a busy machine."""
MOST_MIB = 700
"""Resident MiB of a program of the cloud during an attack: the broker's limit by default is 512 MB, and it may pass it
until the next reading."""

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="mounts, cuts and fills: needs root and /dev/fuse"
    ),
]


@pytest.mark.parametrize("kind", ["s3", "mount"])
def test_stores_every_committed_face_under_random_faults(kind, seed, tmp_path):
    fault = random_faults(kind, seed)
    result = run(fault, tmp_path, seed=seed, seconds=60)
    assert (result.lost, result.duplicated) == (0, 0), f"{fault.name}; repeat with --seed={seed}"
    assert result.faces > 0


@pytest.mark.full
@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_stores_every_committed_face(fault, tmp_path):
    result = run(fault, tmp_path, seed=1, seconds=SECONDS_OF_ATTACKS if fault.alone else 6)
    assert (result.silent, result.duplicated) == (0, 0)
    assert not result.lost or fault.audit == "names losses"
    assert result.faces > 0
    assert result.kills > 0 or "kill" not in fault.name
    if fault.name.startswith("hostile edge") and result.figures:
        sys.stdout.write(f"{fault.name}: {result.figures}\n")
        assert result.figures.stored > result.figures.captured / FEWEST_STORED
        assert max(result.figures.memory.values()) < MOST_MIB


def test_without_receipts_the_same_faults_lose_faces(tmp_path):
    """The negative control: without it the tests above would prove nothing."""
    (fault,) = (fault for fault in CATALOGUE if fault.act is kill_any and fault.kind == "s3" and fault.cameras == 1)
    assert any(run(fault, tmp_path / str(seed), seed=seed, seconds=12, forget=True).lost for seed in (1, 2))


@pytest.mark.full
@pytest.mark.parametrize("new_format", [new_format_1, new_format_3])
def test_faces_of_an_earlier_release_are_stored_after_an_upgrade(tmp_path, new_format):
    result = upgrade(tmp_path, faces=1000, new_format=new_format)
    assert (result.faces, result.lost, result.duplicated) == (1000, 0, 0)
