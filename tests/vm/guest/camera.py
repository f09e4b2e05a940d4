"""The camera: the kernel's virtual video driver, vivid, and what can befall it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINK = Path("/dev/v4l/by-path/platform-vivid.0-video-index0")
"""The name that udev gives it; it names the place, whatever number the device gets."""
_DRIVER = Path("/sys/bus/platform/drivers/vivid")
_PLACE = "vivid.0"
_WEBCAM = ["n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0"]
"""One device that captures, with one input, a webcam."""


@contextmanager
def plugged() -> Iterator[None]:
    """Have the camera, with all its controls as they come; nobody may hold it at the end."""
    plug()
    try:
        yield
    finally:
        subprocess.run(["modprobe", "-r", "vivid"], check=True)


def plug() -> None:
    """Plug it in, for the first time or again, and wait for its name."""
    if _DRIVER.exists():
        (_DRIVER / "bind").write_text(_PLACE)
    else:
        subprocess.run(["modprobe", "vivid", *_WEBCAM], check=True)
    subprocess.run(["udevadm", "settle"], check=True)


def unplug() -> None:
    """Pull it out, also from under a program that reads from it."""
    (_DRIVER / "unbind").write_text(_PLACE)
    subprocess.run(["udevadm", "settle"], check=True)


def control(name: str, value: int = 1) -> None:
    """Set one of the driver's controls; those that inject an error want any value."""
    subprocess.run(["v4l2-ctl", "--device", LINK, "--set-ctrl", f"{name}={value}"], check=True)


def state() -> dict[str, str]:
    """What the driver says that it gives now: ``Width/Height``, ``Pixel Format``, ``Frames per second`` and more."""
    command = ["v4l2-ctl", "--device", LINK, "--get-fmt-video", "--get-parm"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}
