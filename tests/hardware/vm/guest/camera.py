"""Controls the camera: vivid, the kernel's virtual video driver, and the faults that it can inject."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINK = Path("/dev/v4l/by-path/platform-vivid.0-video-index0")
"""Link that udev creates for the device's position, whatever number the device gets."""
_DRIVER = Path("/sys/bus/platform/drivers/vivid")
_POSITION = "vivid.0"
_WEBCAM = ["n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0"]
"""Parameters of the driver: one capture device with one input, a webcam."""


@contextmanager
def plugged() -> Iterator[None]:
    """Plug the camera in with default controls, and unload the driver at the end; no process may have it open then."""
    plug()
    try:
        yield
    finally:
        subprocess.run(["modprobe", "-r", "vivid"], check=True)


def plug() -> None:
    """Plug the camera in, for the first time or again, and wait for its link."""
    if _DRIVER.exists():
        (_DRIVER / "bind").write_text(_POSITION)
    else:
        subprocess.run(["modprobe", "vivid", *_WEBCAM], check=True)
    subprocess.run(["udevadm", "settle"], check=True)


def unplug() -> None:
    """Unplug the camera, even while a program reads from it."""
    (_DRIVER / "unbind").write_text(_POSITION)
    subprocess.run(["udevadm", "settle"], check=True)


def control(name: str, value: int = 1) -> None:
    """Set a control of the driver; one that injects an error accepts any value."""
    subprocess.run(["v4l2-ctl", "--device", str(LINK), "--set-ctrl", f"{name}={value}"], check=True)


def current_format() -> dict[str, str]:
    """Return the driver's current ``Width/Height``, ``Pixel Format``, ``Frames per second`` and more."""
    command = ["v4l2-ctl", "--device", str(LINK), "--get-fmt-video", "--get-parm"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}
