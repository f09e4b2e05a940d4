"""`face-app capture` as a process, and what it tells from outside."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

PORT = 9464
NO_BROKER = "127.0.0.1:1"
SETTINGS = {
    "FACE_APP_CAMERA__READ_TIMEOUT": "4",
    "FACE_APP_CAMERA__REOPEN_MAX": "2",
    "FACE_APP_DETECTOR__WIDTH": "160",  # an emulated CPU has better to do than to look for faces in a test picture
}


@dataclass(frozen=True)
class Capture:
    """A running capture.

    Attributes:
        process: Of it.
        log: What it wrote on standard error.
    """

    process: "subprocess.Popen[str]"
    log: Path

    def figure(self, name: str) -> float:
        """One of its metrics; 0 while it does not answer yet."""
        with suppress(OSError), urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=30) as answer:
            found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
            return float(found[1]) if found else 0.0
        return 0.0

    @property
    def frames(self) -> int:
        """Frames that it has looked at."""
        return int(self.figure("face_app_capture_frames_total"))

    @property
    def cameras(self) -> int:
        """Descriptors of video devices that it holds, those of unplugged ones too."""
        held = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                held += str(descriptor.readlink()).startswith("/dev/video")
        return held

    @property
    def threads(self) -> int:
        """Threads that it has; one that hangs in a read counts for ever."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def lines(self) -> list[str]:
        """What it has logged."""
        return self.log.read_text().splitlines()

    def wait(self, condition: Callable[[], bool], seconds: float = 90) -> float:
        """Wait until something is so; give the seconds that it took.

        Raises:
            TimeoutError: It was not so in time, or the program ended.
        """
        started = time.monotonic()
        while not condition():
            if self.process.poll() is not None or time.monotonic() - started > seconds:
                raise TimeoutError(f"after {time.monotonic() - started:.0f} s; exit code {self.process.poll()}")
            time.sleep(0.2)
        return round(time.monotonic() - started, 1)

    def wait_for_frames(self, number: int = 10) -> float:
        """Wait until it has looked at so many more frames; give the seconds that it took."""
        wanted = self.frames + number
        return self.wait(lambda: self.frames >= wanted)

    def stop(self) -> dict[str, Any]:
        """Send SIGTERM, as Docker does, and give the exit code, the seconds until then and the summary."""
        started = time.monotonic()
        self.process.terminate()
        output, _ = self.process.communicate(timeout=60)
        seconds = round(time.monotonic() - started, 1)
        return {"code": self.process.returncode, "seconds": seconds, "summary": json.loads(output)}


@contextmanager
def capture(source: str | Path, **settings: str) -> Iterator[Capture]:
    """Run it with the given source and settings, such as ``FACE_APP_CAMERA__WIDTH``; no broker is there."""
    with tempfile.TemporaryDirectory() as folder, (log := Path(folder, "log")).open("w") as errors:
        command = [sys.executable, "-m", "face_app", "capture", "--source", source, "--broker", NO_BROKER]
        command += ["--outbox", Path(folder, "outbox.db"), "--metrics-port", str(PORT), "--json"]
        environment = {**os.environ, **SETTINGS, **settings}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            yield Capture(process, log)
        finally:
            process.kill()
            process.communicate()
            sys.stderr.write(log.read_text())
