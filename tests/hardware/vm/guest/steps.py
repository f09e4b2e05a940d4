"""Injects faults into the camera and reports the program's reactions, one line of JSON per step on standard output."""

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
from face_app.edge.sources.device import DeviceCapture
from face_app.edge.sources.open_source import open_source
from hardware.vm.guest import camera
from hardware.vm.guest.program import Capture, capture

Report = dict[str, Any]


def frames() -> Report:
    """Read frames from the source itself, with their times."""
    set_up_opencv()
    with camera.plugged():
        source = open_source(settings.Camera(source="/dev/video0"), threading.Event())
        before = time.time()
        with source:
            received = list(islice(source, 20))
        return {
            "before": before,
            "after": time.time(),
            "captured_at": [frame.captured_at.timestamp() for frame in received],
            "elapsed": [frame.elapsed for frame in received],
            "index": [frame.index for frame in received],
            "shapes": sorted({frame.image.shape for frame in received}),
            "different": len({frame.image.tobytes() for frame in received}),
        }


def requested() -> Report:
    """Request supported formats, and then a size and a pixel format that the camera does not support."""
    with camera.plugged():
        return {
            "supported": _granted(width=320, height=180, fps=10, pixel_format="yuyv"),
            "other": _granted(width=1280, height=720, fps=15),
            "unsupported": _granted(width=5000, height=180, fps=10, pixel_format="mjpg"),
        }


def _granted(**changes: Any) -> Report:
    """Open the camera; return the driver's format while it is open, the shape of a frame, and the log."""
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.INFO, format="%(levelname)s %(message)s", force=True)
    with open_source(settings.Camera(source="/dev/video0", **changes), threading.Event()) as source:
        (frame,) = islice(source, 1)
        driver = camera.current_format()
    return {"driver": driver, "shape": frame.image.shape, "log": log.getvalue().splitlines()}


def timestamps() -> Report:
    """Let a frame wait in the driver, with timestamps of the exposure's start, and then with wrapped ones."""
    with camera.plugged():
        camera.control("timestamp_source", 1)
        plausible = _age()
        camera.control("wrap_timestamp", 1)
        return {"plausible": plausible, "implausible": _age()}


def _age() -> float:
    """Grab a frame 0.5 s after it was ready; return its age by its timestamp, seconds."""
    capture = cv2.VideoCapture("/dev/video0", cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FPS, 10)
    device = DeviceCapture(capture)
    device.grab()
    time.sleep(0.5)
    device.grab()
    age = time.monotonic() - device.timestamp
    device.release()
    return age


def plugged_late(program: Capture) -> Report:
    """Start the program before the camera is plugged in."""
    program.wait(lambda: "no such camera" in program.log.read_text())
    camera.plug()
    return {"back": program.wait_for_frames(), "granted": camera.current_format()}


def unplugged(program: Capture) -> Report:
    """Unplug the camera during a read, and plug it in again after the program has closed it."""
    return _survive(program, camera.unplug, "no such camera", camera.plug)


def disconnected(program: Capture) -> Report:
    """Disconnect the camera while its link stays; it returns once no process has it open."""
    return _survive(program, lambda: camera.control("disconnect"))


def silent(program: Capture) -> Report:
    """Drop all frames: a read hangs, and so does the first one after the camera was reopened."""
    return _survive(program, lambda: _drop(100), "no frame for 4 s", lambda: _drop(0), times=2)


def failed(program: Capture) -> Report:
    """Let the driver abort the stream; the next stream works."""
    return _survive(program, lambda: camera.control("inject_fatal_streaming_error"))


def refused(program: Capture) -> Report:
    """Let the driver abort the stream, and refuse to start the next one."""

    def inject() -> None:
        camera.control("inject_vidioc_streamon_error")
        camera.control("inject_fatal_streaming_error")

    return _survive(program, inject)


def broken_frame(program: Capture) -> Report:
    """Let the driver mark one frame as broken; the following ones are good."""
    mark = len(program.lines())
    camera.control("inject_v4l2_buf_flag_error")
    return {"back": program.wait_for_frames(), "log": program.lines()[mark:]}


def stopped(program: Capture) -> Report:
    """Stop the program by SIGTERM."""
    counted = program.frames
    return {"counted": counted, **program.stop()}


def _drop(percentage: int) -> None:
    camera.control("percentage_of_dropped_buffers", percentage)


def _survive(
    program: Capture,
    inject: Callable[[], None],
    symptom: str = "trying again",
    repair: Callable[[], None] = lambda: None,
    times: int = 1,
) -> Report:
    """Inject a fault, repair it once the log shows the symptom, and wait for frames.

    Args:
        program: The running capture.
        inject: Causes the fault.
        symptom: Text in the log.
        repair: Ends the fault.
        times: Log lines with the symptom before the repair.

    Returns:
        Seconds until the symptom and until frames came again, the log, and the open descriptors and threads then.
    """
    mark = len(program.lines())
    inject()
    noticed = program.wait(lambda: sum(symptom in line for line in program.lines()[mark:]) >= times)
    repair()
    back = program.wait_for_frames()
    log = program.lines()[mark:]
    return {"noticed": noticed, "back": back, "log": log, "cameras": program.cameras, "threads": program.threads}


def run_program() -> None:
    """Run one program through all faults of its camera."""
    with capture(camera.LINK) as program:
        try:
            for step in (plugged_late, unplugged, disconnected, silent, failed, refused, broken_frame, stopped):
                report(step.__name__, partial(step, program))
        finally:
            program.process.kill()


def main() -> None:
    """Run all steps in order, including those after a failed one."""
    for step in (frames, requested, timestamps):
        report(step.__name__, step)
    run_program()


def report(name: str, step: Callable[[], Report]) -> None:
    """Run a step, and print its report or its error."""
    started = time.monotonic()
    try:
        result = step()
    except Exception:  # noqa: BLE001
        result = {"error": traceback.format_exc()}
    took = round(time.monotonic() - started, 1)
    print(json.dumps({"step": name, "took": took, **result}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
