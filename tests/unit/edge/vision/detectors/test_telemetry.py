"""A box reports to its operator alone."""

import os
import subprocess
import sys

import pytest

LOAD = """
from face_app.common import settings
from face_app.edge.vision.detectors.load import load_detector
from support.clips import drawn

print(len(load_detector(settings.Detector(engine="onnxruntime")).detect(drawn((320, 240, 80), size=(640, 480)))))
"""


@pytest.mark.usefixtures("weights")
def test_onnx_runtime_makes_no_id_of_the_device(tmp_path):
    """The library reports nothing in CI and in tests of its own, so their variables are removed."""
    pytest.importorskip("onnxruntime")
    gone = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST"}
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = kept | homes | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-B", "-c", LOAD]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=200)
    assert done.stdout == "1\n", done.stderr
    assert list(tmp_path.rglob("*")) == []
