"""What the machine boots: Debian's kernel, and a root file system in memory."""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
PACKAGES = ["iproute2", "kmod", "python3-venv", "udev", "v4l-utils"]
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*"]
"""What nobody in the guest reads; all of it is kept in memory, twice at first."""

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
CACHE = PROJECT / ".cache" / "vm"
FURNISH = HERE / "furnish.sh"
INPUTS = [Path(__file__), FURNISH, PROJECT / "requirements/edge.txt", PROJECT / "requirements/model.txt"]


@dataclass(frozen=True)
class Image:
    """What a machine boots.

    Attributes:
        kernel: Compressed, as it comes in Debian's package.
        initramfs: A cpio archive.
    """

    kernel: Path
    initramfs: Path


def image(folder: Path) -> Image:
    """Make an initramfs of Debian and the project's code as it is now, in `folder`.

    Raises:
        CalledProcessError: Debian or the package index did not give what is needed.
    """
    base = _base()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "src" / "face_app", root / "opt/src/face_app", ignore=ignore)
        shutil.copytree(HERE / "guest", root / "opt/tests/vm/guest", ignore=ignore)
        shutil.copy(HERE / "__init__.py", root / "opt/tests/vm")
        shutil.copy(HERE / "guest" / "init", root / "init")
        initramfs = folder / "initramfs"
        shutil.copy(base.initramfs, initramfs)
        _archive(root, initramfs)
    return Image(base.kernel, initramfs)


def _base() -> Image:
    """Make what seldom changes, or take it as it was made from the same files before."""
    key = hashlib.sha256(b"".join(each.read_bytes() for each in INPUTS)).hexdigest()[:16]
    made = CACHE / key
    if not made.exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            root, parts = Path(temporary, "root"), Path(temporary, "parts")
            _debian(root)
            parts.mkdir()
            (root / "vmlinuz").rename(parts / "vmlinuz")
            _archive(root, parts / "initramfs")
            parts.rename(made)
    return Image(made / "vmlinuz", made / "initramfs")


def _debian(root: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += ["--aptopt=APT::Install-Recommends false", *(f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT)]
    command += [f"--customize-hook={FURNISH}", SUITE, str(root)]
    # A session of its own: it hangs up its whole process group when it fails.
    subprocess.run(command, cwd=PROJECT, check=True, start_new_session=True)


def _archive(root: Path, file: Path) -> None:
    """Append all of a folder to an archive; the kernel unpacks one upon the other."""
    command = "find . -print0 | cpio --null --create --format=newc --quiet"
    with file.open("ab") as archive:
        subprocess.run(command, shell=True, cwd=root, stdout=archive, check=True)
