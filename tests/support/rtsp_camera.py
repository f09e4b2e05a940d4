"""A network camera: Motion JPEG over RTSP, served by bin/rtsp-camera."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from support.gstreamer import DEBIAN_PYTHON
from support.ports import wait_for_port
from support.processes import process

PROGRAM = Path(__file__).parents[2] / "bin" / "rtsp-camera"
PIPELINE = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 "
    "! jpegenc ! rtpjpegpay name=pay0"
)


@dataclass(frozen=True)
class RtspCamera:
    """A running camera.

    Attributes:
        address: Its URL.
        process: The server.
    """

    address: str
    process: Popen[bytes]

    def freeze(self) -> None:
        """Fall silent; connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def rtsp_camera(port: int) -> Iterator[RtspCamera]:
    """Run a camera with 25 frames a second, until the context ends."""
    with tempfile.TemporaryDirectory(prefix="rtsp-") as folder:
        command: list[str | Path] = [DEBIAN_PYTHON, PROGRAM, PIPELINE, "--port", str(port)]
        with process(command, Path(folder) / "log") as running:
            camera = RtspCamera(f"rtsp://127.0.0.1:{port}/camera", running)
            try:
                wait_for_port(port, running)
                yield camera
            finally:
                camera.thaw()
