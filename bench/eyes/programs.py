"""Runs the two programs as a user does, and measures CPU, time and memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOMEWORK = (sys.executable, "-m", "bench.eyes.homework")
FACE_APP = (sys.executable, "-m", "face_app")

POLL_SECONDS = 0.25
"""Interval between two readings of the memory of a program."""


@dataclass(frozen=True)
class Run:
    """A program that has ended successfully.

    Attributes:
        lines: Its standard output.
        cpu_seconds: Of its own and of its children, user and system.
        seconds: By the clock on the wall.
        peak_bytes: Peak memory; 0 when not measured.
    """

    lines: list[str]
    cpu_seconds: float
    seconds: float
    peak_bytes: int


def capture_clip(clip: Path, shots: Path, *, pace: str = "fast") -> list[str]:
    """Return the command that writes the shots of face-app into a folder."""
    return [*FACE_APP, "capture", "--source", str(clip), "--dry-run", str(shots), "--pace", pace, "--json"]


def run(command: Sequence[str], *, memory: bool = False) -> Run:
    """Run a program to its end.

    Args:
        command: Program and arguments.
        memory: Measure its memory.

    Raises:
        RuntimeError: It failed; with the last line that it wrote on standard error.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        began, peak = time.monotonic(), 0
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=log) as program:
            while not (ended := os.wait4(program.pid, os.WNOHANG if memory else 0))[0]:
                peak = max(peak, _peak_bytes(program.pid))
                time.sleep(POLL_SECONDS)
            program.returncode = os.waitstatus_to_exitcode(ended[1])
        seconds = time.monotonic() - began
        output.seek(0)
        log.seek(0)
        if program.returncode:
            last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"{' '.join(command[:5])} ... ended with {program.returncode}: {last}")
        usage = ended[2]
        return Run(output.read().decode().splitlines(), usage.ru_utime + usage.ru_stime, seconds, peak)


def _peak_bytes(process: int) -> int:
    """Return the peak that the kernel has recorded so far.

    Not `ru_maxrss`: a child starts with its parent's, and this parent contains decoded video.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
