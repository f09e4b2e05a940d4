"""Runs programs as a user does, measures their CPU, time and memory, and stores what unchanged programs have found."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import face_app

POLL_SECONDS = 0.25
"""Interval between two readings of the memory of a program."""


@dataclass(frozen=True)
class Program:
    """A program that can be measured.

    Attributes:
        name: In tables.
        source: Its source: a file, or the folder that Python imports it from.
    """

    name: str
    source: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command line with these arguments."""
        module = "face_app" if self.source.is_dir() else f"bench.eyes.{self.source.stem}"
        return [sys.executable, "-m", module, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables under which its own source is imported."""
        if not self.source.is_dir():
            return {}
        return {"PYTHONPATH": os.pathsep.join([str(self.source), os.environ.get("PYTHONPATH", "")])}


HERE = Path(__file__).parent
HOMEWORK = Program("homework", HERE / "homework.py")
GRAB = Program("grab", HERE / "grab.py")
FACE_APP = Program("face-app", Path(face_app.__file__).parents[1])
"""The present version: the one that this process imports."""


def earlier(source: Path) -> Program:
    """Return an earlier version of face-app.

    Raises:
        SystemExit: The folder has no face-app.
    """
    if not (source / "face_app").is_dir():
        raise SystemExit(f"--before {source}: has no face_app; name the folder src of an earlier checkout")
    return Program("before", source.resolve())


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
    """Return the arguments with which face-app writes its shots of a clip into a folder."""
    return ["capture", "--source", str(clip), "--dry-run", str(shots), "--pace", pace, "--json"]


def process(program: Program, clip: Path, shots: Path, settings: Mapping[str, str] | None = None) -> tuple[dict, "Run"]:
    """Run a program on a clip to its end; its pictures go to a folder. Return also what it prints."""
    arguments = capture_clip(clip, shots) if program.source.is_dir() else [str(clip), "--crops", str(shots)]
    ended = run(program, arguments, settings=settings)
    return json.loads(ended.lines[-1]), ended


def stored(program: Program, clip: Path, cache: Path, settings: Mapping[str, str] | None = None) -> tuple[dict, Path]:
    """Return what a program prints on a clip, and the folder of its pictures.

    An unchanged program with unchanged settings is not run a second time on the same clip.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith("FACE_APP_")} | (settings or {})
    parts = (_digest(program.source), _digest(clip), json.dumps(variables, sort_keys=True))
    folder = cache / f"{clip.stem}-{hashlib.sha256(''.join(parts).encode()).hexdigest()[:12]}"
    answer = folder / "answer.json"
    if not answer.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        printed, _ = process(program, clip, folder, settings)
        answer.write_text(json.dumps(printed))
    return json.loads(answer.read_text()), folder


@functools.cache
def has_setting(program: Program, section: str, name: str) -> bool:
    """Return whether a version of face-app knows a setting."""
    source = f"from face_app.common.settings import EdgeSettings as s; f = s.model_fields[{section!r}].annotation"
    command = [sys.executable, "-c", f"{source}; print({name!r} in f.model_fields)"]
    return run(program, command=command).lines == ["True"]


def run(
    program: Program,
    arguments: Sequence[str] = (),
    *,
    command: Sequence[str] = (),
    memory: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Run:
    """Run a program to its end.

    Args:
        program: Whose source is imported.
        arguments: Its arguments.
        command: A command in place of the program itself, in the same environment.
        memory: Measure its memory.
        settings: Further environment variables.

    Raises:
        RuntimeError: It failed; with the last line that it wrote on standard error.
    """
    command = command or program.command(*arguments)
    environment = os.environ | program.environment | (settings or {})
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        began, peak = time.monotonic(), 0
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=log, env=environment
        ) as process_:
            while not (ended := os.wait4(process_.pid, os.WNOHANG if memory else 0))[0]:
                peak = max(peak, _peak_bytes(process_.pid))
                time.sleep(POLL_SECONDS)
            process_.returncode = os.waitstatus_to_exitcode(ended[1])
        seconds = time.monotonic() - began
        output.seek(0)
        log.seek(0)
        if process_.returncode:
            last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"{' '.join(command[:5])} ... ended with {process_.returncode}: {last}")
        usage = ended[2]
        return Run(output.read().decode().splitlines(), usage.ru_utime + usage.ru_stime, seconds, peak)


@functools.cache
def _digest(path: Path) -> str:
    """Return the hash of a file, or of all files in a folder."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    digest = hashlib.sha256()
    for file in files:
        if "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(path)).encode() + file.read_bytes())
    return digest.hexdigest()


def _peak_bytes(process_id: int) -> int:
    """Return the peak that the kernel has recorded so far.

    Not `ru_maxrss`: a child starts with its parent's, and this parent contains decoded video.
    """
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
