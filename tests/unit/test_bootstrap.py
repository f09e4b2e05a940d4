"""bin/bootstrap with a Python that the programs cannot use."""

import shutil
import subprocess
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["edge", "cloud", "controller", "dev", "next"])
def test_no_requirements_pin_a_pillow_before_the_fix(name):
    pins = [
        line for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines() if line.startswith("pillow==")
    ]
    assert pins
    assert all(int(line.partition("==")[2].partition(".")[0]) >= 13 for line in pins)
