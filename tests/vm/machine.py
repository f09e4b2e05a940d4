"""A machine: qemu, with KVM where it works and in software where it does not."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

from services.processes import process
from vm.image import Image

MEMORY = "2048"
"""Megabytes. The archive, and the files unpacked from it, take 550 each for a moment."""
BOOT_SECONDS = {"kvm": 60, "tcg": 300}
"""Until the first report. In software it takes 45 where nothing else runs."""
Report = dict[str, Any]


def run(image: Image, folder: Path, seconds: float) -> dict[str, Report]:
    """Boot an image, wait until it powers itself off, and give its reports by their step.

    Args:
        image: Whose init writes one JSON object a line to the second serial port.
        folder: Where `console` and `reports` are written.
        seconds: Most that it may take.

    Raises:
        TimeoutError: It did not boot, or not end, in time; the console's last lines tell more.
    """
    console, reports = folder / "console", folder / "reports"
    machine = ["qemu-system-x86_64", "-cpu", "max", "-smp", "1", "-m", MEMORY, "-nodefaults", "-display", "none"]
    machine += ["-kernel", str(image.kernel), "-initrd", str(image.initramfs)]
    machine += ["-append", "console=ttyS0 quiet panic=-1", "-no-reboot"]
    machine += ["-serial", f"file:{console}", "-serial", f"file:{reports}"]
    for accelerator, boot_seconds in BOOT_SECONDS.items():
        with process([*machine, "-accel", accelerator], folder / "qemu") as running:
            # KVM may be there and not work, or work until the first instruction that it does not know.
            if _wait(running, boot_seconds, lambda: bool(_read(reports))):
                if _wait(running, seconds, lambda: running.poll() is not None):
                    return _read(reports)
                break
    raise TimeoutError(f"the machine did not {'end' if _read(reports) else 'boot'}, see {folder}: {_tail(console)}")


def _wait(running: Popen[bytes], seconds: float, condition: Callable[[], bool]) -> bool:
    """Tell whether something became so in time, and before the machine ended."""
    deadline = time.monotonic() + seconds
    while not condition() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.5)
    return condition()


def _read(reports: Path) -> dict[str, Report]:
    """Read the whole lines that are there."""
    lines = reports.read_text().split("\n")[:-1] if reports.exists() else []
    found = [json.loads(line) for line in lines]
    return {report.pop("step"): report for report in found}


def _tail(console: Path) -> str:
    return console.read_text(errors="replace")[-4000:] if console.exists() else "no console"
