"""Messages that are small on the wire and huge when decoded cost neither time nor memory."""

import json
import os
import subprocess
import sys

import pytest

READ = """
import json, resource, sys, time
from face_app.common.errors import MessageError
from face_app.common.metadata import read_image
from fuzz import seeds

payload = eval(sys.argv[1], vars(seeds))
read_image(seeds.picture(), max_pixels=16_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, -1))
started = time.process_time()
try:
    read_image(payload, max_pixels=16_000_000)
    reason = ""
except MessageError as error:
    reason = error.reason
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([reason, time.process_time() - started, (after - before) / 1024]))
"""


@pytest.mark.parametrize(
    ("bomb", "reason", "seconds", "megabytes"),
    [
        ("declared(50_000, 50_000)", "too-many-pixels", 1, 20),
        ("declared(4001, 4000)", "too-many-pixels", 1, 20),
        ("declared(4000, 4000)", "not-an-image", 5, 100),
        ("tall_jpeg()", "too-many-pixels", 1, 20),
        ("texts()", "", 1, 20),
        ("fractions(19_000_000)", "", 1, 60),
        ("fractions(60_000)", "", 1, 20),
        ("nested_directories()", "", 1, 20),
        ("scans(5000, 7000)", "too-many-scans", 1, 60),
        ("scans(50, 4000)", "too-many-scans", 1, 60),
        ("scans(4, 4000)", "", 5, 150),
        ("interleaved_scans(2, 2800)", "", 5, 250),
        ("arithmetic(4000)", "not-an-image", 1, 20),
        ("hidden_scans(0xD0, 400, 7000)", "not-an-image", 1, 60),
        ("hidden_scans(0x01, 400, 7000)", "not-an-image", 1, 60),
        ("""with_comment('{"schema":' + '[' * 60_000)""", "bad-metadata", 1, 20),
        ("""with_comment('{"schema":' + '9' * 60_000)""", "bad-metadata", 1, 20),
    ],
)
def test_a_bomb_does_not_go_off(bomb, reason, seconds, megabytes):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, bomb],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    result, took, grown = json.loads(done.stdout)
    assert result == reason
    assert took < seconds
    assert grown < megabytes
