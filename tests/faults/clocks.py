"""Sets the clock of one process alone."""

import subprocess
from pathlib import Path

from faults.program import Program

SOURCE = Path(__file__).with_name("clock.c")


def build_clock(home: Path) -> Path:
    """Build the library that replaces the clock of a process (LD_PRELOAD)."""
    library = home / "clock.so"
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-nostdlib", "-w", "-O1", "-o", library, SOURCE], check=True)
    return library


def own_clock(program: Program, home: Path) -> None:
    """Restart a program with a clock of its own; `set_clock` sets it."""
    library = build_clock(home)
    file = home / f"{program.name}.clock"
    file.write_text("0")
    program.environment |= {"LD_PRELOAD": str(library), "CLOCK_SHIFT_FILE": str(file)}
    program.stop()
    program.start()


def has_own_clock(program: Program) -> bool:
    return "CLOCK_SHIFT_FILE" in program.environment


def set_clock(program: Program, seconds: int) -> None:
    """Set the clock ahead of the true time, or behind it if `seconds` is negative."""
    file = Path(program.environment["CLOCK_SHIFT_FILE"])
    # The rename is atomic: a reader sees the old text or the new one.
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.rename(file)
