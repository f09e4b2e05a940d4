"""One deployment by `bin/demo` serves all files of this folder, by name; the last one removes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.clips import photo
from support.demo import deployed, remove_earlier_demo, run, start_engine


@pytest.fixture
def three_faces(tmp_path: Path) -> Path:
    """A folder with a picture of three: in a loop they come every two seconds, played fast as often as it is read."""
    (tmp_path / "faces").mkdir()
    return photo(tmp_path / "faces" / "three.png", faces=3).parent


@pytest.fixture(scope="package")
def demo() -> Iterator[dict[str, Any]]:
    """The summary of the first `bin/demo`. Everything is removed at the end; the engine and the images stay."""
    start_engine()
    if deployed():
        remove_earlier_demo()
    try:
        yield json.loads(run("bin/demo", "--json").splitlines()[-1])
    finally:
        if deployed():
            run("bin/demo", "down", "--purge", "--keep-images")
