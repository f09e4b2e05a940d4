"""The settings select the detector and its engine."""

import logging
import sys

import cv2
import pytest

from face_app.common import settings
from face_app.common.errors import DetectorError
from face_app.edge.vision.detectors.load import load_detector
from face_app.edge.vision.detectors.yunet_onnx import OnnxEngine
from face_app.edge.vision.detectors.yunet_opencv import OpenCVEngine


def load(**changes):
    return load_detector(settings.Detector(**changes))


@pytest.fixture
def without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "face_app.edge.vision.detectors.yunet_onnx", raising=False)


def test_names_the_detector_for_the_metadata(weights):
    assert [load(name=name).name for name in ("yunet", "haar")] == ["yunet", "haar"]


@pytest.mark.parametrize(
    ("engine", "kind"), [("auto", OnnxEngine), ("onnxruntime", OnnxEngine), ("opencv", OpenCVEngine)]
)
def test_loads_the_engine_that_is_set(weights, caplog, engine, kind):
    assert isinstance(load(engine=engine)._engine, kind)
    assert not caplog.records


def test_auto_falls_back_to_opencv_with_a_warning(weights, without_onnxruntime, caplog):
    caplog.set_level(logging.WARNING)
    assert isinstance(load()._engine, OpenCVEngine)
    assert "onnxruntime is not installed" in caplog.text


def test_opencv_by_name_gives_no_warning(weights, without_onnxruntime, caplog):
    assert isinstance(load(engine="opencv")._engine, OpenCVEngine)
    assert not caplog.records


def test_refuses_an_engine_that_is_not_installed(weights, without_onnxruntime):
    with pytest.raises(DetectorError, match="is not installed: install onnxruntime, or set auto"):
        load(engine="onnxruntime")


def test_a_library_that_does_not_load_counts_as_no_engine(weights, without_onnxruntime, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.delitem(sys.modules, "onnxruntime")
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(load()._engine, OpenCVEngine)
    assert "onnxruntime cannot be loaded (libgomp.so.1: cannot open" in caplog.text
    with pytest.raises(DetectorError, match=r"cannot be loaded \(libgomp.*install onnxruntime, or set auto"):
        load(engine="onnxruntime")


def test_names_the_opencv_that_is_needed(weights, monkeypatch):
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    with pytest.raises(DetectorError, match="cannot run YuNet: install opencv-python-headless"):
        load(engine="opencv")


def test_refuses_a_missing_model(tmp_path):
    with pytest.raises(DetectorError, match="No such file"):
        load(model=tmp_path / "none.onnx")
