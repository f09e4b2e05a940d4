"""An image is packed without the layers that another host has, and its engine still loads it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.module import run_module

SHARED, IMAGE = "face-app-test-pack:shared", "face-app-test-pack:whole"

pytestmark = pytest.mark.host


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def layers(image: str) -> list[str]:
    found: list[str] = json.loads(docker("image", "inspect", "--format={{json .RootFS.Layers}}", image))
    return found


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image of two layers, the first of which is another image too."""
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(name.encode() * 100_000)
    for tag, names in {SHARED: ["first"], IMAGE: ["first", "second"]}.items():
        (tmp_path / "Dockerfile").write_text(
            "\n".join(["FROM scratch", 'CMD ["/none"]', *(f"COPY {each} /" for each in names)])
        )
        docker("build", "--quiet", f"--tag={tag}", str(tmp_path))
    yield IMAGE
    subprocess.run(["docker", "image", "rm", "--force", IMAGE, SHARED], check=False, capture_output=True)


def test_an_engine_loads_an_image_without_the_layers_that_it_has(image, tmp_path):
    given = {"name": image, "directory": str(tmp_path)}
    whole = run_module("image_pack", given | {"present": []})
    packed = run_module("image_pack", given | {"present": [layers(SHARED)]})
    assert (whole["omitted"], packed["omitted"]) == (0, 1)
    assert run_module("image_pack", given | {"present": [layers(SHARED)]})["changed"] is False
    assert packed["bytes"] < whole["bytes"]
    expected = layers(image)
    docker("image", "rm", "--force", image)
    docker("load", f"--input={packed['path']}")
    assert layers(image) == expected
    container = docker("create", image).strip()
    try:
        for name in ("first", "second"):
            docker("cp", f"{container}:/{name}", str(tmp_path / "copied"))
            assert (tmp_path / "copied").read_bytes() == (tmp_path / name).read_bytes()
    finally:
        docker("rm", container)


def test_names_an_image_that_is_missing(tmp_path):
    result = run_module("image_pack", {"name": "face-app-test-pack:none", "directory": str(tmp_path)})
    assert result["failed"]
    assert not list(tmp_path.iterdir())
