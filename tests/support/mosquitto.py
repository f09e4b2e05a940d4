"""A real Mosquitto."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from support.ports import free_port, wait_for_port
from support.processes import process

OPEN = ("allow_anonymous true",)
PLUGIN = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)
"""Refuses subscriptions; an ACL file of Mosquitto 2 grants them and delivers nothing."""


@dataclass(frozen=True)
class Mosquitto:
    """A running broker.

    Attributes:
        host: Its address.
        port: Of its plain listener.
        process: For tests that stop, freeze or kill it.
        log: Its output.
    """

    host: str
    port: int
    process: Popen[bytes]
    log: Path


@contextmanager
def mosquitto(
    config_lines: Iterable[str] = OPEN, *, port: int | None = None, folder: Path | None = None
) -> Iterator[Mosquitto]:
    """Run a broker with one listener on the loopback.

    Args:
        config_lines: Added to its configuration; by default it accepts all clients.
        port: Of the listener; None: a free one.
        folder: Its configuration, log and state; None: a temporary one. The same port and folder
            again is the same broker, started again.
    """
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if not program:
        raise FileNotFoundError("mosquitto is not installed")
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as temporary:
        home = folder or Path(temporary)
        port = port or free_port()
        log, config = home / "mosquitto.log", home / "mosquitto.conf"
        # Started by root it would become the user mosquitto, who cannot read the test's folder.
        lines = ["user root", f"listener {port} 127.0.0.1", f"persistence_location {home}/", *config_lines]
        config.write_text("\n".join(lines) + "\n")
        with process([program, "-v", "-c", config], log) as running:
            wait_for_port(port, running)
            yield Mosquitto("127.0.0.1", port, running, log)
