"""Only known weights are loaded."""

import pytest

from face_app.common.errors import DetectorError
from face_app.edge.vision.detectors import model
from face_app.edge.vision.detectors.model import read_model


def test_reads_a_copy_of_the_packaged_model(weights, tmp_path):
    copy = tmp_path / "model.onnx"
    copy.write_bytes(weights)
    assert read_model(copy) == weights


def test_refuses_other_bytes_and_names_the_known_models(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"not the model")
    with pytest.raises(DetectorError, match=r"has SHA-256 [0-9a-f]{64}; known are: opencv_zoo") as refused:
        read_model(file)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(("name", "why"), [("none.onnx", "No such file"), (".", "Is a directory")])
def test_names_the_setting_of_an_unreadable_model(tmp_path, name, why):
    with pytest.raises(DetectorError, match=rf"detector\.model = .*{why}"):
        read_model(tmp_path / name)


def test_expands_the_home_directory(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(weights)
    assert read_model(model.Path("~/model.onnx")) == weights


def test_names_the_missing_package(monkeypatch):
    monkeypatch.setattr(model, "PACKAGE", "no_such_package_here")
    with pytest.raises(DetectorError, match="install no_such_package_here"):
        read_model(None)
