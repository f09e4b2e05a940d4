"""What is done to the camera, and what the program makes of it: one line of JSON a step, on standard output."""

import io
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import cv2

from face_app.common import settings
from face_app.edge.image import set_up_opencv
from face_app.edge.sources.device import Device
from face_app.edge.sources.open_source import open_source
from vm.guest import camera
from vm.guest.program import Capture, capture

Report = dict[str, Any]


def frames() -> Report:
    """Take frames from the source itself, which tells when it took them."""
    set_up_opencv()
    with camera.plugged():
        source = open_source(settings.Camera(source="/dev/video0"), threading.Event())
        before = time.time()
        with source:
            taken = list(islice(source, 20))
        return {
            "before": before,
            "after": time.time(),
            "captured_at": [frame.captured_at.timestamp() for frame in taken],
            "elapsed": [frame.elapsed for frame in taken],
            "index": [frame.index for frame in taken],
            "shapes": sorted({frame.image.shape for frame in taken}),
            "different": len({frame.image.tobytes() for frame in taken}),
        }


def asked() -> Report:
    """Ask for what the camera has, and then for what it has not: another size, and a format that it does not know."""
    with camera.plugged():
        return {
            "had": _granted(width=320, height=180, fps=10, pixel_format="yuyv"),
            "other": _granted(width=1280, height=720, fps=15),
            "lacked": _granted(width=5000, height=180, fps=10, pixel_format="mjpg"),
        }


def _granted(**wanted: Any) -> Report:
    """Open it so; give what the driver says while it is open, the shape of a frame, and the log."""
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    with open_source(settings.Camera(source="/dev/video0", **wanted), threading.Event()) as source:
        (frame,) = islice(source, 1)
        driver = camera.state()
    return {"driver": driver, "shape": frame.image.shape, "log": log.getvalue().splitlines()}


def stamped() -> Report:
    """Let a frame wait in the driver, whose stamps are the start of the exposure, and then of no clock."""
    with camera.plugged():
        camera.control("timestamp_source", 1)
        believed = _age()
        camera.control("wrap_timestamp", 1)
        return {"believed": believed, "disbelieved": _age()}


def _age() -> float:
    """Grab a frame a good while after it was there; give how old it is said to be, seconds."""
    capture = cv2.VideoCapture("/dev/video0", cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FPS, 10)
    device = Device(capture)
    device.grab()
    time.sleep(0.5)
    device.grab()
    age = time.monotonic() - device.at
    device.release()
    return age


def plugged_late(program: Capture) -> Report:
    """The program runs before there is a camera."""
    program.wait(lambda: "no such camera" in program.log.read_text())
    camera.plug()
    return {"back": program.wait_for_frames(), "granted": camera.state()}


def unplugged(program: Capture) -> Report:
    """Pulled out while it is read, and plugged in again when the program has let go of it."""
    return _through(program, camera.unplug, "no such camera", camera.plug)


def disconnected(program: Capture) -> Report:
    """Gone, while its name stays; it comes back when nobody holds it any more."""
    return _through(program, lambda: camera.control("disconnect"))


def silent(program: Capture) -> Report:
    """It stays, and gives no frame: a read hangs, and so does the first one after the camera was opened anew."""
    return _through(program, lambda: _drop(100), "no frame for 4 s", lambda: _drop(0), times=2)


def broken(program: Capture) -> Report:
    """The driver gives up the stream; the next one is good."""
    return _through(program, lambda: camera.control("inject_fatal_streaming_error"))


def refused(program: Capture) -> Report:
    """As before, and the driver refuses to start the next stream."""

    def act() -> None:
        camera.control("inject_vidioc_streamon_error")
        camera.control("inject_fatal_streaming_error")

    return _through(program, act)


def spoilt(program: Capture) -> Report:
    """The driver marks one frame as spoilt; those that follow are good."""
    mark = len(program.lines())
    camera.control("inject_v4l2_buf_flag_error")
    return {"back": program.wait_for_frames(), "log": program.lines()[mark:]}


def stopped(program: Capture) -> Report:
    """SIGTERM."""
    counted = program.frames
    return {"counted": counted, **program.stop()}


def _drop(percentage: int) -> None:
    camera.control("percentage_of_dropped_buffers", percentage)


def _through(
    program: Capture,
    act: Callable[[], None],
    sign: str = "trying again",
    heal: Callable[[], None] = lambda: None,
    times: int = 1,
) -> Report:
    """Do something to the camera, heal it when the log has the sign of it so many times, and wait for frames.

    Gives the seconds until the sign and until frames came again, the log, and the descriptors and threads held then.
    """
    mark = len(program.lines())
    act()
    noticed = program.wait(lambda: sum(sign in line for line in program.lines()[mark:]) >= times)
    heal()
    back = program.wait_for_frames()
    log = program.lines()[mark:]
    return {"noticed": noticed, "back": back, "log": log, "cameras": program.cameras, "threads": program.threads}


def life() -> None:
    """One program, and all that befalls its camera."""
    with capture(camera.LINK) as program:
        try:
            for step in (plugged_late, unplugged, disconnected, silent, broken, refused, spoilt, stopped):
                tell(step.__name__, partial(step, program))
        finally:
            program.process.kill()


def main() -> None:
    """Take the steps, one after the other; one that fails does not keep the next from being taken."""
    for step in (frames, asked, stamped):
        tell(step.__name__, step)
    life()


def tell(name: str, step: Callable[[], Report]) -> None:
    started = time.monotonic()
    try:
        report = step()
    except Exception:  # noqa: BLE001
        report = {"error": traceback.format_exc()}
    took = round(time.monotonic() - started, 1)
    print(json.dumps({"step": name, "took": took, **report}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
