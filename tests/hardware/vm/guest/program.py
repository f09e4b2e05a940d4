"""Runs `face-app capture` as a process, and reads its metrics, its log, its descriptors and threads."""

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
    "FACE_APP_CAMERA__WIDTH": "640",
    "FACE_APP_CAMERA__HEIGHT": "360",
    "FACE_APP_CAMERA__FPS": "5",
    "FACE_APP_CAMERA__PIXEL_FORMAT": "yuyv",
    "FACE_APP_CAMERA__READ_TIMEOUT": "4",
    "FACE_APP_CAMERA__REOPEN_MAX": "2",
    "FACE_APP_DETECTOR__WIDTH": "160",  # saves time on an emulated CPU: the test picture has no face
}


@dataclass(frozen=True)
class Capture:
    """Observes a running capture.

    Attributes:
        process: The process.
        log: File with its standard error.
    """

    process: "subprocess.Popen[str]"
    log: Path

    def metric(self, name: str) -> float:
        """Return a metric; 0 while the endpoint does not answer."""
        with suppress(OSError), urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=30) as response:
            found = re.search(rf"^{name} (\S+)$", response.read().decode(), re.MULTILINE)
            return float(found[1]) if found else 0.0
        return 0.0

    @property
    def frames(self) -> int:
        """Return the frames that were processed."""
        return int(self.metric("face_app_capture_frames_total"))

    @property
    def cameras(self) -> int:
        """Return the open descriptors of video devices, including unplugged ones."""
        count = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                count += str(descriptor.readlink()).startswith("/dev/video")
        return count

    @property
    def threads(self) -> int:
        """Return the threads of the process, including one that hangs in a read."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def lines(self) -> list[str]:
        """Return the log."""
        return self.log.read_text().splitlines()

    def wait(self, condition: Callable[[], bool], seconds: float = 180) -> float:
        """Wait until a condition is true; return the seconds that it took.

        Raises:
            TimeoutError: It did not become true in time, or the program ended.
        """
        started = time.monotonic()
        while not condition():
            if self.process.poll() is not None or time.monotonic() - started > seconds:
                raise TimeoutError(f"after {time.monotonic() - started:.0f} s; exit code {self.process.poll()}")
            time.sleep(0.2)
        return round(time.monotonic() - started, 1)

    def wait_for_frames(self, number: int = 10) -> float:
        """Wait for so many more frames; return the seconds that it took."""
        target = self.frames + number
        return self.wait(lambda: self.frames >= target)

    def stop(self) -> dict[str, Any]:
        """Send SIGTERM, as Docker does; return the exit code, the seconds until the end and the summary."""
        started = time.monotonic()
        self.process.terminate()
        output, _ = self.process.communicate(timeout=60)
        seconds = round(time.monotonic() - started, 1)
        return {"code": self.process.returncode, "seconds": seconds, "summary": json.loads(output)}


@contextmanager
def capture(source: str | Path, **settings: str) -> Iterator[Capture]:
    """Run a capture without a broker.

    Args:
        source: The camera.
        settings: Further settings by environment name, such as ``FACE_APP_CAMERA__WIDTH``.
    """
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
