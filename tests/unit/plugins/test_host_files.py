"""The module host_files makes folders and files as given, in one call."""

import grp
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[3] / "plugins/modules/host_files.py"
ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the module makes folders of root")


def run(check=False, diff=True, **parameters):
    arguments = {**ME, "_ansible_check_mode": check, "_ansible_diff": diff, **parameters}
    done = subprocess.run(
        [sys.executable, MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.stdout, json.loads(done.stdout)


@pytest.fixture
def wanted(tmp_path):
    """Parameters for a folder with one file."""
    folder = tmp_path / "a/b"
    return {"folders": [str(folder)], "files": [{"path": str(folder / "settings"), "content": "one\ntwo\n"}]}


def test_makes_folder_and_file_once(wanted, tmp_path):
    _, first = run(**wanted)
    _, second = run(**wanted)
    file = tmp_path / "a/b/settings"
    assert (first["changed"], second["changed"], second["paths"]) == (True, False, [])
    assert file.read_text() == "one\ntwo\n"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o440, 0o750)
    assert first["digest"] == second["digest"]


def test_check_mode_reports_the_same_and_changes_nothing(wanted, tmp_path):
    _, checked = run(check=True, **wanted)
    assert not (tmp_path / "a").exists()
    _, real = run(**wanted)
    assert {**checked, "invocation": 0} == {**real, "invocation": 0}
    (tmp_path / "a/b/settings").write_text("other")
    (tmp_path / "a/b").chmod(0o700)
    _, checked = run(check=True, **wanted)
    assert checked["paths"] == [str(tmp_path / "a/b"), str(tmp_path / "a/b/settings")]
    assert (tmp_path / "a/b/settings").read_text() == "other"


def test_shows_only_the_lines_that_differ(wanted):
    run(**wanted)
    wanted["files"][0]["content"] = "one\nthree\n"
    output, result = run(**wanted)
    assert "-two\n+three\n" in result["diff"][0]["prepared"]
    assert "one\\nthree\\n" not in output.replace(json.dumps(result["diff"]), "")


def test_writes_nothing_that_its_program_refuses(wanted, tmp_path):
    wanted["files"][0]["validate"] = "grep -q three %s"
    _, refused = run(**wanted)
    assert refused["failed"]
    assert "settings is not valid" in refused["msg"]
    assert not (tmp_path / "a/b/settings").exists()
    wanted["files"][0]["content"] = "three\n"
    assert run(**wanted)[1]["changed"]


def test_writes_a_value_as_json(tmp_path):
    value = {"users": [{"name": "ann", "password": "hidden-word"}]}
    file = tmp_path / "users.json"
    for changed in (True, False):
        output, result = run(files=[{"path": str(file), "json": value}], diff=False)
        assert result["changed"] is changed
        assert "hidden-word" not in output
    assert json.loads(file.read_text()) == value


def test_removes_files(tmp_path):
    old = tmp_path / "old"
    old.write_text("")
    assert run(check=True, absent=[str(old)])[1]["paths"] == [str(old)]
    assert old.exists()
    assert run(absent=[str(old)])[1]["changed"]
    assert not old.exists()
    assert not run(absent=[str(old)])[1]["changed"]


def test_the_digest_follows_files_that_others_write(wanted, tmp_path):
    certificate = tmp_path / "ca.crt"
    digests = []
    for content in (None, "first", "second"):
        if content:
            certificate.write_text(content)
        digests.append(run(**wanted, digests=[str(certificate)])[1]["digest"])
    assert len(set(digests)) == 3


def test_a_file_may_have_a_mode_of_its_own(wanted, tmp_path):
    wanted["files"][0]["mode"] = "0755"
    run(**wanted)
    assert (tmp_path / "a/b/settings").stat().st_mode & 0o777 == 0o755


def test_copies_a_file_of_the_host_if_there_is_one(tmp_path):
    source, copy = tmp_path / "source", tmp_path / "a/copy"
    copied = {"folders": [str(copy.parent)], "files": [{"path": str(copy), "source": str(source)}]}
    run(**copied)
    assert copy.parent.is_dir()
    assert not copy.exists()
    source.write_bytes(b"\xff\0")
    assert [run(**copied)[1]["changed"] for _ in range(2)] == [True, False]
    assert copy.read_bytes() == b"\xff\0"
    assert "one of" in run(files=[{"path": str(copy)}])[1]["msg"]


def test_a_file_may_have_an_owner_of_its_own(wanted, tmp_path):
    wanted["files"].append({"path": str(tmp_path / "a/b/acl"), "content": "", "owner": "10001"})
    run(**wanted)
    assert [(tmp_path / "a/b" / name).stat().st_uid for name in ("settings", "acl")] == [0, 10001]
    assert not run(**wanted)[1]["changed"]


def test_restricts_files_that_others_wrote(tmp_path):
    key = tmp_path / "key"
    assert not run(check=True, existing=[str(key)])[1]["changed"]
    key.write_text("k")
    key.chmod(0o644)
    assert run(check=True, existing=[str(key)])[1]["changed"]
    assert run(existing=[str(key)])[1]["changed"]
    assert (key.stat().st_mode & 0o777, key.read_text()) == (0o440, "k")


def test_no_output_has_a_secret(tmp_path):
    for content in ("hidden-word\n", "\n"):
        output, result = run(files=[{"path": str(tmp_path / "secret"), "content": content}], diff=False)
        assert "hidden-word" not in output
        assert result["paths"] == [str(tmp_path / "secret")]
