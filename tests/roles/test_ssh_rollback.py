"""Test the script that rolls sshd's files back: on request, and by itself."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.ssh_host import wait_until

SCRIPT = Path(__file__).parents[2] / "roles/ssh_hardening/files/rollback.sh"


@dataclass
class Settings:
    """Files that a change is about to spoil.

    Attributes:
        home: Folder of all of it; ``main`` exists, ``drop_in`` does not.
    """

    home: Path

    @property
    def main(self) -> Path:
        return self.home / "etc/main"

    @property
    def drop_in(self) -> Path:
        return self.home / "etc/drop_in"

    @property
    def saved(self) -> Path:
        return self.home / "saved"

    @property
    def reloads(self) -> int:
        log = self.home / "reloads"
        return len(log.read_text()) if log.exists() else 0

    def run(self, *arguments: str | Path) -> int:
        done = subprocess.run(["sh", self.saved / SCRIPT.name, *arguments], check=False, timeout=30)
        return done.returncode

    def arm(self, seconds: int = 300) -> None:
        self.saved.mkdir()
        shutil.copy(SCRIPT, self.saved)
        reload = f"printf x >> {self.home}/reloads"
        assert self.run("wait", str(seconds), reload, self.main, self.drop_in, self.main.parent) == 0

    def spoil(self) -> None:
        self.main.write_text("new")
        self.main.chmod(0o666)
        self.drop_in.write_text("new")
        self.main.parent.chmod(0o777)

    def is_as_before(self) -> bool:
        modes = (self.main.stat().st_mode & 0o777, self.main.parent.stat().st_mode & 0o777)
        return self.main.read_text() == "old" and modes == (0o640, 0o750) and not self.drop_in.exists()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    each = Settings(tmp_path)
    each.main.parent.mkdir()
    each.main.parent.chmod(0o750)
    each.main.write_text("old")
    each.main.chmod(0o640)
    return each


def test_restores_on_request(settings):
    settings.arm()
    settings.spoil()
    assert settings.run("restore") == 0
    assert settings.is_as_before()
    assert settings.reloads == 1
    assert not settings.saved.exists()


def test_restores_by_itself(settings):
    settings.arm(seconds=2)
    script = settings.saved / SCRIPT.name
    settings.spoil()
    assert wait_until(lambda: not settings.saved.exists(), 30)
    assert settings.is_as_before()
    assert settings.reloads == 1
    # The run that comes too late to discard it learns that.
    assert not script.exists()
    assert settings.run("discard") != 0


def test_discards(settings):
    settings.arm(seconds=2)
    settings.spoil()
    assert settings.run("discard") == 0
    assert not wait_until(settings.is_as_before, 5)
    assert settings.reloads == 0
    assert not settings.saved.exists()


def test_does_not_reload_where_nothing_changed(settings):
    settings.arm()
    assert settings.run("restore") == 0
    assert settings.reloads == 0


def test_an_interrupted_run_does_not_end_the_next_ones_window(settings):
    settings.arm(seconds=3)
    settings.spoil()
    assert settings.run("restore") == 0
    assert settings.is_as_before()
    # The first time runs out, which does not concern the second run.
    settings.arm()
    settings.spoil()
    assert not wait_until(settings.is_as_before, 6)
    assert settings.run("restore") == 0
    assert settings.is_as_before()


def test_a_run_that_saved_nothing_leaves_nothing(settings):
    settings.saved.mkdir()
    shutil.copy(SCRIPT, settings.saved)
    assert settings.run("restore") == 0
    assert settings.is_as_before()
    assert not settings.saved.exists()


def test_a_linked_file_is_restored_in_its_place(settings):
    link = settings.home / "link"
    link.symlink_to(settings.main)
    settings.saved.mkdir()
    shutil.copy(SCRIPT, settings.saved)
    assert settings.run("wait", "300", "true", link) == 0
    settings.spoil()
    assert settings.run("restore") == 0
    assert link.is_symlink()
    assert settings.main.read_text() == "old"
