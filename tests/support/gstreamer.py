"""Debian's GStreamer for a Python that is perhaps not Debian's."""

import atexit
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DEBIAN_PYTHON = "/usr/bin/python3"
BINDINGS = Path("/usr/lib/python3/dist-packages/gi")


def link_bindings() -> str:
    """Let this process import `gi`, where Debian's fits this Python.

    Returns:
        Why it cannot; empty where it can.
    """
    if "gi" not in sys.modules and not importlib.util.find_spec("gi"):
        # The folder contains nothing else: Debian's other packages are not the pinned ones.
        folder = tempfile.mkdtemp(prefix="gi-")
        atexit.register(shutil.rmtree, folder)
        Path(folder, "gi").symlink_to(BINDINGS)
        sys.path.append(folder)
    try:
        importlib.import_module("gi").require_version("GstApp", "1.0")
    except (ImportError, ValueError) as error:
        return f"GStreamer cannot be used from this Python: {error}; bin/bootstrap test installs it"
    return ""


def missing_server() -> str:
    """Return why no RTSP server can run here; empty: it can."""
    imports = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        asked = subprocess.run([DEBIAN_PYTHON, "-c", imports], capture_output=True, check=False)
    except FileNotFoundError:
        return f"no {DEBIAN_PYTHON}"
    return "no RTSP server of GStreamer; bin/bootstrap test installs it" if asked.returncode else ""
