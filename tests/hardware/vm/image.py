"""Builds the files that the machine boots: Debian's kernel and a root file system in memory."""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
PACKAGES = ["iproute2", "kmod", "python3-venv", "udev", "v4l-utils"]
EXCLUDED = ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"]
"""Paths that the guest does not need. The file system is in memory, at first twice."""

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
CACHE = PROJECT / ".cache" / "vm"
CUSTOMIZE_HOOK = HERE / "customize.sh"
INPUTS = [Path(__file__), CUSTOMIZE_HOOK, PROJECT / "requirements/edge.txt", PROJECT / "requirements/model.txt"]


@dataclass(frozen=True)
class Image:
    """Names the files that a machine boots.

    Attributes:
        kernel: Compressed kernel of Debian's package.
        initramfs: cpio archive.
    """

    kernel: Path
    initramfs: Path


def build_image(folder: Path) -> Image:
    """Build an initramfs in `folder` from Debian and the current code of the project.

    Raises:
        CalledProcessError: Debian's mirror or the package index failed.
    """
    base = _base_image()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "src" / "face_app", root / "opt/src/face_app", ignore=ignore)
        shutil.copytree(HERE / "guest", root / "opt/tests/hardware/vm/guest", ignore=ignore)
        shutil.copy(HERE / "__init__.py", root / "opt/tests/hardware/vm")
        shutil.copy(HERE.parent / "__init__.py", root / "opt/tests/hardware")
        shutil.copy(HERE / "guest" / "init", root / "init")
        initramfs = folder / "initramfs"
        shutil.copy(base.initramfs, initramfs)
        _archive(root, initramfs)
    return Image(base.kernel, initramfs)


def _base_image() -> Image:
    """Build the part that seldom changes, or reuse the one that was built from the same inputs."""
    key = hashlib.sha256(b"".join(each.read_bytes() for each in INPUTS)).hexdigest()[:16]
    cached = CACHE / key
    if not cached.exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            root, parts = Path(temporary, "root"), Path(temporary, "parts")
            _install_debian(root)
            parts.mkdir()
            (root / "vmlinuz").rename(parts / "vmlinuz")
            _archive(root, parts / "initramfs")
            parts.rename(cached)
    return Image(cached / "vmlinuz", cached / "initramfs")


def _install_debian(root: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += ["--aptopt=APT::Install-Recommends false", *(f"--dpkgopt=path-exclude={each}" for each in EXCLUDED)]
    command += [f"--customize-hook={CUSTOMIZE_HOOK}", SUITE, str(root)]
    # A new session: mmdebstrap kills its whole process group when it fails.
    subprocess.run(command, cwd=PROJECT, check=True, start_new_session=True)


def _archive(root: Path, file: Path) -> None:
    """Append a folder to an archive. The kernel unpacks appended archives one over the other."""
    command = "find . -print0 | cpio --null --create --format=newc --quiet"
    with file.open("ab") as archive:
        subprocess.run(command, shell=True, cwd=root, stdout=archive, check=True)
