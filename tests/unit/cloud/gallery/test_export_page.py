"""A user exports a visit or a range; each face is in the access log."""

import io
import json
import zipfile
from typing import Any

import pytest

from unit.cloud.gallery.conftest import World, faces, login


def exported(client: Any, query: str) -> set[str]:
    answer = client.get(f"/export.zip?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    return {entry["file"] for entry in json.loads(archive.read("metadata.json"))["faces"]}


def test_a_visit_and_a_range_are_exported_and_logged(world: World):
    first, second, other = made = faces(3)
    world.put(*made)
    client = world.client(world.open(login=True))
    login(client, "vera")
    shots = client.get("/api/faces").json()["faces"]
    visit = next(each["visit"] for each in shots if each["key"] == first.key)
    assert exported(client, f"visit={visit}") == {first.key}
    assert "/export.zip?visit=" in client.get(f"/face/{first.key}").text
    assert exported(client, "edge=jetson") == {first.key, second.key, other.key}
    assert 'href="/export.zip?edge=jetson"' in client.get("/?edge=jetson").text
    assert exported(client, "edge=jetson&from=2026-11-22T13:00") == set()
    lines = [(each["action"], each.get("key", "")) for each in world.accesses() if each.get("detail") == "export"]
    assert lines.count(("download", first.key)) == 2
    assert [each["detail"] for each in world.accesses() if each["action"] == "export"][1] == "edge jetson"


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("camera=door", 400), ("edge=../x", 400), ("visit=../x", 400), ("edge=jetson&from=soon", 400)],
)
def test_a_wider_or_wrong_range_is_refused(world: World, query: str, status: int):
    client = world.client(world.open())
    answer = client.get(f"/export.zip?{query}")
    assert answer.status_code == status
    assert "--" not in answer.text  # no option of the command line


def test_nothing_is_exported_without_a_login_or_without_the_bucket(world: World):
    client = world.client(world.open(login=True))
    assert client.get("/export.zip?edge=jetson", follow_redirects=False).status_code in {303, 401}
    login(client, "vera")
    world.bucket.rename(world.bucket.with_name("away"))
    assert client.get("/export.zip?edge=jetson").status_code == 503
