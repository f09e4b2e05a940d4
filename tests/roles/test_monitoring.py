"""The role monitoring publishes no open page, and a run ends after both programs have read their settings."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from support.cloud_host import HOST
from support.playbook import CORES, Played, run_playbooks

RELOADED = "reloaded_settings.sha256"


def play_role(core: Path, folder: Path, tasks_from: str, variables: dict[str, object], *options: str) -> Played:
    """Apply a part of the role to this machine, with a folder of its own and a program docker in it."""
    role = {"name": "monitoring", "tasks_from": tasks_from}
    play = {
        "hosts": "box",
        "gather_facts": False,
        "environment": {"PATH": f"{folder}:/usr/bin:/bin"},
        "tasks": [{"ansible.builtin.include_role": role}],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": HOST}}}))
    given = {"monitoring_image": "face-app-monitoring:0", "monitoring_directory": str(folder), **variables}
    return run_playbooks(
        core / "ansible-playbook",
        folder / "hosts.yml",
        [folder / "play.yml"],
        ["--extra-vars", json.dumps(given), *options],
    )


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("127.0.0.1", True),
        ("10.0.0.20", True),
        ("[fd00::1]", True),
        pytest.param("fd00::1", False, marks=pytest.mark.full),
        pytest.param("", False, marks=pytest.mark.full),
        pytest.param("*", False, marks=pytest.mark.full),
        pytest.param("0", False, marks=pytest.mark.full),
        pytest.param("0.0.0.0", False, marks=pytest.mark.full),
        pytest.param("::", False, marks=pytest.mark.full),
        ("[::0]", False),
        pytest.param("[0:0:0:0:0:0:0:0]", False, marks=pytest.mark.full),
    ],
)
def test_pages_are_published_on_one_address(tmp_path: Path, core: Path, address: str, accepted: bool) -> None:
    played = play_role(core, tmp_path, "configure", {"monitoring_address": address}, "--check")
    assert ("monitoring_address is" in played.error) is not accepted, played.output


@dataclass
class Programs:
    """Answer as Prometheus and Alertmanager do; a signal is a new line in a file.

    Attributes:
        signals: The file to which `docker kill` adds a line.
        delay: Seconds from a signal to the end of the reload.
        port: Where they listen.
        reloads: Times of successful reloads.
    """

    signals: Path
    delay: float = 2
    port: int = 0
    reloads: list[float] = field(default_factory=lambda: [1.7e9])

    def page(self) -> str:
        if self.signals.exists() and time.time() - self.signals.stat().st_mtime > self.delay:
            self.signals.unlink()
            self.reloads.append(time.time())
        lines = [
            f"{program}_config_last_reload_{value}"
            for program in ("prometheus", "alertmanager")
            for value in ("successful 1", f"success_timestamp_seconds {self.reloads[-1]:e}")
        ]
        return "\n".join(lines) + "\n"


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    running = Programs(tmp_path / "signals")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(running.page().encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield running
    server.shutdown()
    server.server_close()


def reload(core: Path, folder: Path, programs: Programs, *, docker: str = "") -> Played:
    """Apply the end of the role with new settings; `docker kill` is a signal, or fails."""
    (folder / "docker").write_text(docker or f"#!/bin/sh\necho signal > {programs.signals}\n")
    (folder / "docker").chmod(0o755)
    ports = dict.fromkeys(("monitoring_prometheus_port", "monitoring_alertmanager_port"), programs.port)
    known = {"__monitoring_settings_digest": "new", "__monitoring_created_folders": {"changed": False}}
    return play_role(core, folder, "compare_reloaded", {**ports, **known})


@pytest.mark.parametrize("core", CORES)
def test_a_run_waits_until_both_programs_have_read_their_settings(
    tmp_path: Path, core: Path, programs: Programs
) -> None:
    played = reload(core, tmp_path, programs)
    assert played.rc == 0, played.output
    assert len(programs.reloads) == 2
    assert (tmp_path / RELOADED).read_text() == "new\n"
    again = reload(core, tmp_path, programs, docker="#!/bin/sh\nexit 1\n")
    assert (again.rc, again.stats["box"]["changed"]) == (0, 0), again.output


@pytest.mark.parametrize("core", CORES)
def test_a_run_that_ends_before_the_reload_is_repeated(tmp_path: Path, core: Path, programs: Programs) -> None:
    assert reload(core, tmp_path, programs, docker="#!/bin/sh\nexit 1\n").rc != 0
    assert not (tmp_path / RELOADED).exists()
    played = reload(core, tmp_path, programs)
    assert played.rc == 0, played.output
    assert len(programs.reloads) == 2
