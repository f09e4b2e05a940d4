"""The face mesh recognises faces, and a box without a usable mesh goes on without it."""

import logging

import cv2
import numpy as np
import pytest

from face_app.common.settings import EdgeSettings
from face_app.edge.vision import face_mesh
from face_app.edge.vision.detectors import model
from face_app.edge.vision.face_mesh import load_face_mesh
from face_app.edge.vision.pipeline import VisionPipeline
from support.clips import drawn, empty_frame
from support.detections import detection

FACE = detection(140, 90, 120, height=190)


@pytest.fixture(scope="module")
def mesh():
    if not model.FACE_MESH_FILE.exists():
        pytest.skip("the face mesh is not installed")
    return load_face_mesh()


@pytest.fixture
def mesh_file(tmp_path, monkeypatch):
    file = tmp_path / "face_landmark.tflite"
    monkeypatch.setattr(model, "FACE_MESH_FILE", file)
    return file


def test_recognises_a_face(mesh):
    assert mesh.check(drawn((200, 200, 60), size=(400, 400)), FACE).presence > 0.5
    assert mesh.check(empty_frame((400, 400)), FACE).presence < 0.02


def test_a_tilted_face_is_checked_upright(mesh):
    image = drawn((200, 200, 60), size=(400, 400))
    tilt = cv2.getRotationMatrix2D((200, 200), -40, 1.0)
    points = np.array(FACE.landmarks) @ tilt[:, :2].T + tilt[:, 2]
    tilted = face_mesh.Detection(FACE.box, tuple(map(tuple, points.tolist())), FACE.score)
    assert mesh.check(cv2.warpAffine(image, tilt, (400, 400)), tilted).presence > 0.5


@pytest.mark.parametrize("place", [(-60, -60), (390, 390), (0, 399)])
def test_accepts_a_face_at_the_border(mesh, place):
    result = mesh.check(drawn((200, 200, 60), size=(400, 400)), detection(*place, 120))
    assert 0 <= result.presence <= 1
    assert np.isfinite(result.eye_opening)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory; run files/fetch-face-mesh"), (b"other bytes", "has SHA-256")],
)
def test_one_line_says_why_shots_are_not_checked(mesh_file, caplog, content, reason):
    if content:
        mesh_file.write_bytes(content)
    assert load_face_mesh() is None
    (line,) = caplog.messages
    assert line.startswith("shots are not checked for open eyes and false faces: ")
    assert reason in line


def test_one_line_names_an_opencv_that_cannot_load_the_mesh(mesh, monkeypatch, caplog):
    monkeypatch.delattr(cv2.dnn, "readNetFromTFLite")
    assert load_face_mesh() is None
    (line,) = caplog.messages
    assert "cannot load the face mesh: install OpenCV 4.14" in line


def test_a_pipeline_without_the_mesh_has_a_detector(mesh_file, caplog):
    caplog.set_level(logging.WARNING)
    assert VisionPipeline(EdgeSettings()).detector == "yunet"
    assert "shots are not checked" in caplog.text


def test_the_setting_turns_the_check_off(mesh_file, caplog):
    VisionPipeline(EdgeSettings(shot={"check": False}))
    assert not caplog.messages
