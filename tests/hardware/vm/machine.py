"""Runs a machine in qemu, with KVM if it works, else in software."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

from hardware.vm.image import Image
from support.processes import process

MEMORY = "2048"
"""Megabytes. The archive and its unpacked files need 550 each for a moment."""
BOOT_SECONDS = {"kvm": 60, "tcg": 300}
"""Most seconds until the first report. In software it takes 45 on an idle host."""
Report = dict[str, Any]


def run(image: Image, folder: Path, seconds: float) -> dict[str, Report]:
    """Boot an image, wait until it powers itself off, and return its reports by step.

    Args:
        image: Its init writes one JSON object per line to the second serial port.
        folder: Receives `console` and `reports`.
        seconds: Most seconds of the run.

    Raises:
        TimeoutError: The machine did not boot or end in time; the error quotes the end of the console.
    """
    console, reports = folder / "console", folder / "reports"
    machine = ["qemu-system-x86_64", "-cpu", "max", "-smp", "1", "-m", MEMORY, "-nodefaults", "-display", "none"]
    machine += ["-kernel", str(image.kernel), "-initrd", str(image.initramfs)]
    machine += ["-append", "console=ttyS0 quiet panic=-1", "-no-reboot"]
    machine += ["-serial", f"file:{console}", "-serial", f"file:{reports}"]
    for accelerator, boot_seconds in BOOT_SECONDS.items():
        with process([*machine, "-accel", accelerator], folder / "qemu") as running:
            # KVM may exist and fail, or fail at the first instruction that it does not support.
            if _wait(running, boot_seconds, lambda: bool(_read(reports))):
                if _wait(running, seconds, lambda: running.poll() is not None):
                    return _read(reports)
                break
    raise TimeoutError(f"the machine did not {'end' if _read(reports) else 'boot'}, see {folder}: {_tail(console)}")


def _wait(running: Popen[bytes], seconds: float, condition: Callable[[], bool]) -> bool:
    """Return whether the condition became true in time and before the machine ended."""
    deadline = time.monotonic() + seconds
    while not condition() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.5)
    return condition()


def _read(reports: Path) -> dict[str, Report]:
    """Return the complete reports so far, by step."""
    lines = reports.read_text().split("\n")[:-1] if reports.exists() else []
    found = [json.loads(line) for line in lines]
    return {report.pop("step"): report for report in found}


def _tail(console: Path) -> str:
    return console.read_text(errors="replace")[-4000:] if console.exists() else "no console"
