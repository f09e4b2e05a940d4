"""Provides a broker, a cloud, clips, and the program as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from face_app.edge.image import set_up_opencv
from support.clips import face_clip, visits_clip
from support.cloud import cloud as connected_cloud
from support.mosquitto import mosquitto


@pytest.fixture(scope="session", autouse=True)
def opencv_as_in_production():
    set_up_opencv()


@pytest.fixture
def broker():
    with mosquitto() as running:
        yield running


@pytest.fixture
def cloud(broker):
    with connected_cloud(broker) as client:
        yield client


@pytest.fixture
def path(tmp_path) -> Path:
    """Return the path of an outbox that does not exist yet."""
    return tmp_path / "outbox.db"


@pytest.fixture
def small_disk(tmp_path):
    """Mount 32 MiB of tmpfs."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", mount], check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """Write a clip with three visits in a row: three faces."""
    return visits_clip(tmp_path_factory.mktemp("clips") / "visits.avi", 3)


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory) -> Path:
    """Write a clip of 1.5 seconds with one face."""
    return face_clip(tmp_path_factory.mktemp("clips") / "face.avi", 1.5)


@pytest.fixture
def face_app(tmp_path, path):
    """Start `face-app ...` with the test's outbox; the program ends with the test."""
    started = []
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FACE_APP_")},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "FACE_APP_OUTBOX__PATH": str(path),
        "FACE_APP_EDGE": "jetson",
    }

    def start(*arguments, **settings):
        program = subprocess.Popen(
            [sys.executable, "-m", "face_app", *map(str, arguments)],
            env={**environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        if program.poll() is None:
            program.kill()
        program.communicate()
