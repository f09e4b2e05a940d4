"""The way back that ssh_hardening keeps: taken when asked for, and without being asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.module import run_module
from support.ssh_host import wait_until


@dataclass
class Settings:
    """Files that a change is about to spoil.

    Attributes:
        home: Folder of all of it; ``main`` is there, ``drop_in`` is not.
    """

    home: Path

    @property
    def main(self) -> Path:
        return self.home / "etc/main"

    @property
    def drop_in(self) -> Path:
        return self.home / "etc/drop_in"

    @property
    def reloads(self) -> int:
        log = self.home / "reloads"
        return len(log.read_text()) if log.exists() else 0

    def run(self, state: str, seconds: int = 300) -> dict[str, Any]:
        given = {
            "state": state,
            "seconds": seconds,
            "paths": [str(self.main), str(self.drop_in), str(self.main.parent)],
            "reload": ["sh", "-c", f"printf x >> {self.home}/reloads"],
            "directory": str(self.home / "run/kept"),
        }
        return run_module("ssh_fallback", given)

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
    (tmp_path / "run").mkdir()
    each.main.parent.mkdir()
    each.main.parent.chmod(0o750)
    each.main.write_text("old")
    each.main.chmod(0o640)
    return each


def test_it_is_taken_when_asked_for(settings):
    settings.run("armed")
    settings.spoil()
    told = settings.run("restored")
    assert told["changed"]
    assert settings.is_as_before()
    assert settings.reloads == 1
    assert list((settings.home / "run").iterdir()) == []


def test_it_is_taken_when_nobody_asks(settings):
    settings.run("armed", seconds=2)
    settings.spoil()
    assert wait_until(settings.is_as_before, 30)
    assert wait_until(lambda: settings.reloads == 1, 30)
    assert "went back to its former sshd settings by itself" in settings.run("settled")["msg"]


def test_it_is_given_up(settings):
    settings.run("armed", seconds=2)
    settings.spoil()
    assert "failed" not in settings.run("settled")
    assert not wait_until(settings.is_as_before, 5)
    assert settings.reloads == 0
    assert list((settings.home / "run").iterdir()) == []


def test_nothing_changed_is_nothing_to_reload_for(settings):
    settings.run("armed")
    assert not settings.run("restored")["changed"]
    assert settings.reloads == 0


def test_what_an_interrupted_run_left_is_taken_before_the_next_begins(settings):
    settings.run("armed", seconds=3)
    settings.spoil()
    assert settings.run("armed")["changed"]
    assert settings.is_as_before()
    # The first one's time runs out, which is no concern of the second's.
    settings.spoil()
    assert not wait_until(settings.is_as_before, 6)
    settings.run("restored")
    assert settings.is_as_before()
