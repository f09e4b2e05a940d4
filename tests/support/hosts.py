"""A host for a role: a container of an image that molecule's hosts have, with systemd as PID 1 or without."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START = Path(__file__).parents[1] / "molecule/start_host.sh"


@dataclass(frozen=True)
class Host:
    """A host that is up.

    Attributes:
        name: Of the container; Ansible's connection ``community.docker.docker`` takes it for the host's.
    """

    name: str

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command on the host and return its output; it must succeed."""
        done = self.ask(*command, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command on the host that has ended, well or not."""
        return subprocess.run(
            ["docker", "exec", "-i", self.name, *command], input=stdin, check=False, capture_output=True, text=True
        )

    def write(self, path: str, content: str) -> None:
        """Put text into a file, in place."""
        self.run("sh", "-c", 'cat >"$0"', path, stdin=content)

    def wait_for(self, *command: str, seconds: float = 90) -> None:
        """Wait until a command succeeds."""
        deadline = time.monotonic() + seconds
        while (asked := self.ask(*command)).returncode != 0:
            assert time.monotonic() < deadline, f"{command}: {asked.stderr or asked.stdout}"
            time.sleep(0.5)


@contextmanager
def host(name: str, image: str, *, systemd: bool = True) -> Iterator[Host]:
    """Start a host; its containers and images end with it.

    Args:
        name: Its name, and the container's.
        image: ``bare`` or ``docker``, as `host_image.sh` makes them.
        systemd: Without, nothing runs on it.
    """
    remove = ["docker", "rm", "--force", "--volumes", name]
    subprocess.run(remove, check=False, capture_output=True)
    try:
        command = [] if systemd else ["--", "sleep", "infinity"]
        done = subprocess.run([START, name, image, *command], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield Host(name)
    finally:
        subprocess.run(remove, check=False, capture_output=True)
