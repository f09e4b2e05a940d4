"""Load the detector that the settings name."""

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
    """Load the engine of YuNet that the settings name; ``auto`` means ONNX Runtime if it works, otherwise OpenCV."""
    model = read_model(detector.model)
    score = min_score(detector)
    if detector.engine != "opencv":
        try:
            from face_app.edge.vision.detectors.yunet_onnx import OnnxEngine  # noqa: PLC0415
        except ImportError as error:
            installed = error.name != "onnxruntime"  # but its library, or one that it needs, does not fit this system
            problem = f"cannot be loaded ({error})" if installed else "is not installed"
            if detector.engine == "onnxruntime":
                cure = "install onnxruntime, or set auto"
                raise DetectorError(f"detector.engine = 'onnxruntime' {problem}: {cure}") from error
            log.warning("onnxruntime %s: OpenCV runs the detector, at twice the CPU", problem)
        else:
            return OnnxEngine(model, score)
    from face_app.edge.vision.detectors.yunet_opencv import OpenCVEngine  # noqa: PLC0415

    return OpenCVEngine(model, score)
