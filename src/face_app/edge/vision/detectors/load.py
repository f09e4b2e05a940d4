"""Load the detector that the settings name."""

import importlib.util
import logging

from face_app.common import settings
from face_app.common.errors import DetectorError
from face_app.edge.vision.detectors.detection import Detector
from face_app.edge.vision.detectors.haar import Haar
from face_app.edge.vision.detectors.model import read_model
from face_app.edge.vision.detectors.yunet import Engine, YuNet, min_score

log = logging.getLogger(__name__)


def load_detector(detector: settings.Detector) -> Detector:
    """Load a detector.

    Args:
        detector: Name, engine, model and thresholds.

    Raises:
        DetectorError: The detector, its engine or its model cannot be loaded.
    """
    if detector.name == "haar":
        return Haar(detector)
    return YuNet(_engine(detector), width=detector.width, min_face=detector.min_face)


def _engine(detector: settings.Detector) -> Engine:
    """Load the engine of YuNet that the settings name; ``auto`` means ONNX Runtime if installed, otherwise OpenCV."""
    model = read_model(detector.model)
    score = min_score(detector)
    installed = importlib.util.find_spec("onnxruntime") is not None
    if detector.engine == "onnxruntime" and not installed:
        raise DetectorError("detector.engine = 'onnxruntime' is not installed: install onnxruntime, or set auto")
    if installed and detector.engine != "opencv":
        from face_app.edge.vision.detectors.yunet_onnx import OnnxEngine  # noqa: PLC0415

        return OnnxEngine(model, score)
    from face_app.edge.vision.detectors.yunet_opencv import OpenCVEngine  # noqa: PLC0415

    if detector.engine == "auto":
        log.warning("onnxruntime is not installed: OpenCV runs the detector, at twice the CPU")
    return OpenCVEngine(model, score)
