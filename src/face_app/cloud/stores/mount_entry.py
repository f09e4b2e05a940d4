"""What the kernel says about the mount that an open folder belongs to."""

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class MountEntry:
    """One line of ``/proc/self/mountinfo``, see proc_pid_mountinfo(5).

    Attributes:
        id: Number of the mount, as in ``/proc/self/fdinfo``.
        device: ``major:minor``.
        point: Where it is mounted.
        kind: File system type, such as ``fuse.s3fs``.
        read_only: Whether writing is shut off.
    """

    id: int
    device: str
    point: str
    kind: str
    read_only: bool


def mount_of(descriptor: int) -> MountEntry | None:
    """Find the mount of an open folder; None where it is not mounted any more.

    Reads from the kernel alone. Asking the folder itself (`fstat`) would ask s3fs, and hang with it.
    """
    facts = dict(line.split(":", 1) for line in _lines(f"/proc/self/fdinfo/{descriptor}"))
    number = int(facts["mnt_id"])
    return next((entry for line in _lines("/proc/self/mountinfo") if (entry := _entry(line)).id == number), None)


def _lines(file: str) -> list[str]:
    return Path(file).read_text(errors="surrogateescape").splitlines()


def _entry(line: str) -> MountEntry:
    mount, _, rest = line.partition(" - ")
    number, _parent, device, _root, point, options = mount.split()[:6]
    kind, _source, more_options = rest.split(" ", 2)
    return MountEntry(
        id=int(number),
        device=device,
        point=_OCTAL.sub(lambda match: chr(int(match[1], 8)), point),
        kind=kind,
        read_only="ro" in {*options.split(","), *more_options.split(",")},
    )
