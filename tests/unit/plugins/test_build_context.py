"""The module is run as Ansible runs it: arguments on standard input, one JSON object on standard output."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.module import run_module

ROOT = Path(__file__).parents[3]
CATALOGUE = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_catalogue"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for name, content in {
        "files/Dockerfile.capture": "FROM scratch\n",
        "requirements.txt": "pillow\n",
        "start.sh": "#!/bin/sh\n",
        "src/app/main.py": "print()\n",
        "src/app/cloud/store.py": "STORE = 1\n",
        "src/app/edge/eye.py": "EYE = 1\n",
        "src/app/__pycache__/main.pyc": "",
        "src/app/.main.py.swp": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "start.sh").chmod(0o700)
    return root


def run(
    root: Path, *, check: bool = False, extra_ca: str = "", destination: str | None = None, **changes: Any
) -> dict[str, Any]:
    """Return hash and files of one image, or the failure; `destination` is the tar."""
    image = {
        "name": Path(destination or "image").name.removesuffix(".tar.gz"),
        "dockerfile": "files/Dockerfile.capture",
        "sources": ["requirements.txt", "start.sh", "src/app"],
        "exclude": ["src/app/cloud"],
        "identity": {"base": "sha256:1", "platform": "x86_64"},
        **changes,
    }
    folder = str(Path(destination).parent) if destination else None
    arguments = {"root": str(root), "images": [image], "extra_ca": extra_ca, "destination": folder}
    answer = run_module("build_context", {**arguments, "_ansible_check_mode": check})
    if answer.get("failed"):
        return answer
    return {"hash": answer["hashes"][image["name"]], "files": answer["files"][image["name"]]}


def test_collects_sources_without_excluded_files(checkout: Path) -> None:
    assert run(checkout)["files"] == [
        "Dockerfile",
        "requirements.txt",
        "src/app/edge/eye.py",
        "src/app/main.py",
        "start.sh",
    ]


def test_same_content_has_the_same_hash_wherever_it_is(checkout: Path, tmp_path: Path) -> None:
    moved = checkout.rename(tmp_path / "elsewhere")
    first = run(moved)["hash"]
    (moved / "src/app/main.py").touch()
    assert run(moved)["hash"] == first
    assert len(first) == 12


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "src/app/main.py").write_text("print(1)\n"),
        lambda root: (root / "src/app/new.py").write_text(""),
        lambda root: (root / "src/app/edge/eye.py").rename(root / "src/app/edge/ear.py"),
        lambda root: (root / "files/Dockerfile.capture").write_text("FROM debian\n"),
        lambda root: (root / "start.sh").chmod(0o600),
    ],
    ids=["content", "new file", "renamed", "Dockerfile", "no longer executable"],
)
def test_a_change_that_matters_changes_the_hash(checkout: Path, change: Any) -> None:
    before = run(checkout)["hash"]
    change(checkout)
    assert run(checkout)["hash"] != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "src/app/cloud/store.py").write_text("STORE = 2\n"),
        lambda root: (root / "src/app/__pycache__/eye.pyc").write_text("x"),
        lambda root: (root / "src/app/main.py~").write_text("backup"),
        lambda root: (root / "requirements.txt").chmod(0o600),
    ],
    ids=["excluded", "bytecode", "editor's backup", "umask"],
)
def test_an_irrelevant_change_preserves_the_hash(checkout: Path, change: Any) -> None:
    before = run(checkout)["hash"]
    change(checkout)
    assert run(checkout)["hash"] == before


@pytest.mark.parametrize("identity", [{"base": "sha256:2", "platform": "x86_64"}, {"base": "sha256:1"}, {}])
def test_identity_is_part_of_the_hash(checkout: Path, identity: dict[str, str]) -> None:
    assert run(checkout, identity=identity)["hash"] != run(checkout)["hash"]


def test_order_of_identity_and_sources_is_not(checkout: Path) -> None:
    turned = run(
        checkout,
        identity={"platform": "x86_64", "base": "sha256:1"},
        sources=["src/app", "start.sh", "requirements.txt"],
    )
    assert turned["hash"] == run(checkout)["hash"]


def unpacked(tar: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content by path."""
    with tarfile.open(tar) as archive:
        return {member.name: (member.mode, archive.extractfile(member).read()) for member in archive}


def test_packs_the_context_with_modes_of_its_own(checkout: Path, tmp_path: Path) -> None:
    destination = tmp_path / "contexts/capture.tar.gz"
    (checkout / "requirements.txt").chmod(0o600)
    answer = run(checkout, destination=str(destination))
    packed = unpacked(destination)
    assert set(packed) == {*answer["files"], "extra-ca.crt"}
    assert packed["Dockerfile"] == (0o644, b"FROM scratch\n")
    assert packed["start.sh"][0] == 0o755
    assert packed["requirements.txt"][0] == 0o644
    assert packed["extra-ca.crt"][1] == b""


def test_replaces_an_earlier_context(checkout: Path, tmp_path: Path) -> None:
    run(checkout, destination=str(tmp_path / "out.tar.gz"))
    (checkout / "src/app/edge/eye.py").unlink()
    run(checkout, destination=str(tmp_path / "out.tar.gz"))
    assert "src/app/edge/eye.py" not in unpacked(tmp_path / "out.tar.gz")


def test_extra_ca_is_packed_and_not_hashed(checkout: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "company.crt"
    bundle.write_text("CERTIFICATE")
    answer = run(checkout, extra_ca=str(bundle), destination=str(tmp_path / "out.tar.gz"))
    assert unpacked(tmp_path / "out.tar.gz")["extra-ca.crt"][1] == b"CERTIFICATE"
    assert answer["hash"] == run(checkout)["hash"]


def test_check_mode_hashes_and_writes_nothing(checkout: Path, tmp_path: Path) -> None:
    answer = run(checkout, check=True, destination=str(tmp_path / "out.tar.gz"))
    assert answer["hash"] == run(checkout)["hash"]
    assert not (tmp_path / "out.tar.gz").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dockerfile": "files/Dockerfile.none"}, "files/Dockerfile.none: not a file"),
        ({"sources": ["requirements/none.txt"]}, "requirements/none.txt: not a file"),
        ({"extra_ca": "/nowhere/ca.crt"}, "/nowhere/ca.crt: no such CA bundle"),
    ],
)
def test_names_a_missing_file(checkout: Path, tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    answer = run(checkout, destination=str(tmp_path / "out.tar.gz"), **changes)
    assert answer["failed"]
    assert named in answer["msg"]


def test_a_dangling_link_is_not_left_out_silently(checkout: Path) -> None:
    (checkout / "src/app/lost.py").symlink_to("nowhere.py")
    assert "lost.py: not a file" in run(checkout)["msg"]


def test_packs_the_files_behind_a_linked_folder(checkout: Path, tmp_path: Path) -> None:
    link = checkout / "roles/capture/files/app"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../../src/app")
    linked = {"sources": ["roles/capture/files/app"], "exclude": ["roles/capture/files/app/cloud"]}
    run(checkout, **linked, destination=str(tmp_path / "out.tar.gz"))
    assert set(unpacked(tmp_path / "out.tar.gz")) == {
        "Dockerfile",
        "extra-ca.crt",
        "roles/capture/files/app/edge/eye.py",
        "roles/capture/files/app/main.py",
    }


def test_every_source_in_the_catalogue_exists() -> None:
    for name, image in CATALOGUE.items():
        assert run(ROOT, dockerfile=f"files/Dockerfile.{name}", sources=image["sources"], exclude=image["exclude"])[
            "hash"
        ]


@pytest.mark.parametrize(("role", "other_end"), [("capture", "cloud"), ("subscriber", "edge")])
def test_ships_the_code_that_the_role_links_to(role: str, other_end: str) -> None:
    image = CATALOGUE[role]
    answer = run(ROOT, dockerfile=f"files/Dockerfile.{role}", sources=image["sources"], exclude=image["exclude"])
    prefix = f"roles/{role}/files/face_app/"
    shipped = {file.removeprefix(prefix) for file in answer["files"] if file.startswith(prefix)}
    files = {file for file in (ROOT / "src/face_app").rglob("*") if file.is_file() and file.suffix != ".pyc"}
    code = {str(file.relative_to(ROOT / "src/face_app")) for file in files}
    assert shipped == {file for file in code if not file.startswith(f"{other_end}/")}


def test_hashes_several_images_in_one_call(checkout: Path) -> None:
    images = [
        {"name": name, "dockerfile": "files/Dockerfile.capture", "sources": [source]}
        for name, source in (("first", "requirements.txt"), ("second", "start.sh"))
    ]
    answer = run_module("build_context", {"root": str(checkout), "images": images})
    assert answer["hashes"].keys() == {"first", "second"}
    assert answer["hashes"]["first"] != answer["hashes"]["second"]
    assert answer["files"]["second"] == ["Dockerfile", "start.sh"]
