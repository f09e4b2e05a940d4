"""One camera with a million objects: all are counted, every page answers, and the memory is bounded."""

import json
import os
import subprocess
import sys

import pytest

FACES = 1_000_000
MEMORY_MIB = 200
"""Maximum memory of the program."""


@pytest.mark.full
def test_a_camera_with_a_million_objects():
    command = [sys.executable, "-m", "bench.gallery", "--faces", str(FACES), "--cameras", "1", "--count", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["faces"] == FACES
    assert figures["memory_mib_after_all"]["peak"] < MEMORY_MIB
