"""Python 3.10: what bin/bootstrap says, and the edge of JetPack 6."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from face_app.edge.sources.published import FIXED_PILLOW

ROOT = Path(__file__).parents[2]


def python_3_10() -> str | None:
    """Return a Python 3.10 of this machine that starts."""
    known = Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10")
    for program in (*map(str, known), shutil.which("python3.10")):
        if program and subprocess.run([program, "-V"], check=False, capture_output=True).returncode == 0:
            return program
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for PATH, with this Python as python3."""
    program = python_3_10()
    if not program:
        pytest.skip("no Python 3.10 here")
    (tmp_path / "python3").write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    return tmp_path


def test_says_in_one_line_which_python_the_tests_need(folder):
    done = subprocess.run(
        [ROOT / "bin/bootstrap", "test"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "needs Python 3.11 or newer, here is Python 3.10." in line
    assert "ppa:deadsnakes/ppa" in line


@pytest.mark.parametrize("name", ["cloud", "controller", "dev", "next"])
def test_no_requirements_pin_a_pillow_before_the_fix(name):
    pins = pillows(name)
    assert pins
    assert all(major >= FIXED_PILLOW for major, _ in pins)


def test_only_the_edge_with_python_3_10_has_an_older_one():
    older = [marker for major, marker in pillows("edge") if major < FIXED_PILLOW]
    assert older == ["python_full_version < '3.11'"]


def pillows(name: str) -> list[tuple[int, str]]:
    """Return major version and marker of each Pillow that a file pins."""
    lines = (ROOT / f"requirements/{name}.txt").read_text().splitlines()
    pins = [re.match(r"pillow==(\d+)\S*( ; (.*?))? \\$", line) for line in lines]
    return [(int(pin[1]), pin[3] or "") for pin in pins if pin]


@pytest.mark.full
def test_the_edge_works_with_the_python_of_jetpack_6(folder, tmp_path):
    """The base image of JetPack 6, for CSI cameras, has Python 3.10."""
    subprocess.run([folder / "python3", "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement"]
    for name in ("edge", "model"):
        options = ["--no-deps"] if name == "model" else []
        subprocess.run([*install, ROOT / f"requirements/{name}.txt", *options], check=True)
    clip = next((ROOT / ".cache/media/clips").glob("*.mp4"))
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), "FACE_APP_EDGE": "jetson"}
    capture = [python, "-m", "face_app", "capture", "--outbox", tmp_path / "outbox", "--source"]
    shots = [clip, "--pace", "fast", "--dry-run", tmp_path / "shots"]
    done = subprocess.run([*capture, *shots], check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, list((tmp_path / "shots").glob("*.jpg")) != []) == (0, True), done.stderr
    done = subprocess.run([*capture, "mqtt://h/t"], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 3
    assert "must not decode pictures of other programs" in done.stderr
