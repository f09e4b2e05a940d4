"""Starts, kills and restarts a process."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import wait_for_port

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@dataclass
class Program:
    """Represents one process of the chain.

    Attributes:
        name: Name in messages.
        command: Program and arguments.
        log: File for the output of all its starts.
        port: Port on which it listens, or None.
        environment: Added to the environment of the tests at each start.
        kills: Number of kills.
    """

    name: str
    command: list[str | Path]
    log: Path
    port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _peak: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self) -> None:
        with self._lock:
            assert not self.alive, f"{self.name} runs already"
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    [str(part) for part in self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self.full_environment,
                )
            if self.port:
                wait_for_port(self.port, self._process)

    @property
    def full_environment(self) -> dict[str, str]:
        return ENVIRONMENT | self.environment

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def resident(self) -> int:
        """Return its resident memory in bytes; 0 if it does not run."""
        return self._memory("VmRSS")

    @property
    def peak(self) -> int:
        """Return the maximum of its resident memory in all its starts, in bytes."""
        return max(self._peak, self._memory("VmHWM"))

    def _memory(self, name: str) -> int:
        if not self._process or not self.alive:
            return 0
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)

    def limit_memory(self, maximum: int) -> None:
        """Kill it and start it again if it needs more memory, as the kernel and a container engine do."""
        with self._lock:
            if self.resident > maximum:
                self.kill()
                self.start()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        with self._lock:
            assert self._process, f"{self.name} never ran"
            assert self.alive, f"{self.name} has ended by itself with {self._process.returncode}: see {self.log}"
            self._peak = self.peak  # the kernel forgets it with the process
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.kills += 1

    def stop(self, seconds: float = 15) -> None:
        """Stop it with SIGTERM, as a redeploy does."""
        with self._lock:
            if self._process and self.alive:
                self._process.terminate()
                try:
                    self._process.wait(seconds)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
