"""From the setting to the detector."""

import importlib.util
import logging

from face_app.common import settings
from face_app.common.errors import DetectorError
from face_app.edge.vision.detectors.detection import Detector
from face_app.edge.vision.detectors.haar import Haar
from face_app.edge.vision.detectors.model import read_model
from face_app.edge.vision.detectors.yunet import Engine, YuNet, least_score

log = logging.getLogger(__name__)


def load_detector(detector: settings.Detector) -> Detector:
    """Load the detector that the settings name.

    Raises:
        DetectorError: It cannot be loaded.
    """
    if detector.name == "haar":
        return Haar(detector)
    return YuNet(_engine(detector), width=detector.width, min_face=detector.min_face)


def _engine(detector: settings.Detector) -> Engine:
    """Load YuNet's engine: ONNX Runtime where it is installed, if the setting leaves that open."""
    model, score = read_model(detector.model), least_score(detector)
    there = importlib.util.find_spec("onnxruntime") is not None
    if detector.engine == "onnxruntime" and not there:
        raise DetectorError("detector.engine = 'onnxruntime' is not installed: install onnxruntime, or set auto")
    if there and detector.engine != "opencv":
        from face_app.edge.vision.detectors.yunet_onnx import OnnxEngine  # noqa: PLC0415

        return OnnxEngine(model, score)
    from face_app.edge.vision.detectors.yunet_opencv import OpenCVEngine  # noqa: PLC0415

    if detector.engine == "auto":
        log.warning("onnxruntime is not installed: OpenCV finds the faces, for twice the CPU")
    return OpenCVEngine(model, score)
