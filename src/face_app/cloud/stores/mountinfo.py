"""Read the mount of an open folder from the kernel, without a request to its file system."""

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")  # mountinfo writes a space as \040


@dataclass(frozen=True)
class MountEntry:
    """Contains one line of ``/proc/self/mountinfo``, see proc_pid_mountinfo(5).

    Attributes:
        id: Number of the mount, as in ``/proc/self/fdinfo``.
        point: Mount point.
        type: File system type, such as ``fuse.s3fs``.
        read_only: True for a read-only mount.
    """

    id: int
    point: str
    type: str
    read_only: bool


def mount_of(descriptor: int) -> MountEntry | None:
    """Return the mount of an open folder; None if it is no longer mounted.

    Reads from the kernel only. `fstat` on the folder would hang with a hung s3fs.
    """
    facts = dict(line.split(":", 1) for line in _lines(f"/proc/self/fdinfo/{descriptor}"))
    number = int(facts["mnt_id"])
    return next((entry for line in _lines("/proc/self/mountinfo") if (entry := _entry(line)).id == number), None)


def _lines(file: str) -> list[str]:
    return Path(file).read_text(errors="surrogateescape").splitlines()


def _entry(line: str) -> MountEntry:
    # The kernel writes a variable number of fields before the separator.
    mount, _, rest = line.partition(" - ")
    number, _parent, _device, _root, point, options = mount.split()[:6]
    type_, _source, more_options = rest.split(" ", 2)
    return MountEntry(
        id=int(number),
        point=_OCTAL.sub(lambda match: chr(int(match[1], 8)), point),
        type=type_,
        read_only="ro" in {*options.split(","), *more_options.split(",")},
    )
