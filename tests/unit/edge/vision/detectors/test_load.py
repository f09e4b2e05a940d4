"""The setting decides what runs, and says so when it cannot."""

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


def test_the_names_that_go_into_the_metadata(weights):
    assert [load(name=name).name for name in ("yunet", "haar")] == ["yunet", "haar"]


@pytest.mark.parametrize(
    ("engine", "kind"), [("auto", OnnxEngine), ("onnxruntime", OnnxEngine), ("opencv", OpenCVEngine)]
)
def test_the_engine_is_the_one_that_is_set(weights, caplog, engine, kind):
    assert isinstance(load(engine=engine)._engine, kind)
    assert not caplog.records


def test_without_onnxruntime_auto_takes_opencv_and_says_so(weights, without_onnxruntime, caplog):
    caplog.set_level(logging.WARNING)
    assert isinstance(load()._engine, OpenCVEngine)
    assert "onnxruntime is not installed" in caplog.text


def test_without_onnxruntime_opencv_by_name_is_no_news(weights, without_onnxruntime, caplog):
    assert isinstance(load(engine="opencv")._engine, OpenCVEngine)
    assert not caplog.records


def test_an_engine_that_is_not_there_is_refused(weights, without_onnxruntime):
    with pytest.raises(DetectorError, match="is not installed: install onnxruntime, or set auto"):
        load(engine="onnxruntime")


def test_an_opencv_that_is_too_old_names_the_one_that_is_needed(weights, monkeypatch):
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    with pytest.raises(DetectorError, match="cannot run YuNet: install opencv-python-headless"):
        load(engine="opencv")


def test_a_wrong_model_is_refused_whatever_runs_it(tmp_path):
    with pytest.raises(DetectorError, match="No such file"):
        load(model=tmp_path / "none.onnx")
