"""Drawn persons as crops with whole metadata, as an edge commits them; no person is in any."""

from datetime import datetime

import cv2
import numpy as np

from face_app.common.metadata import FaceMetadata, Why, write_metadata
from face_app.common.wire import FaceId
from support.clips import draw_face
from support.faces import DrawnFace

ROOMS = ((196, 206, 208), (190, 200, 182), (206, 196, 190), (180, 190, 204))


def portrait(
    sequence: int,
    captured_at: datetime,
    *,
    edge: str = "jetson",
    camera: str = "door",
    outbox: str = "0badcafe",
    person: int = 1,
    track: int = 1,
    visit: str | None = "",
    why: Why = "first",
    score: float = 0.62,
) -> DrawnFace:
    """Draw a person; the same arguments give the same bytes.

    Args:
        sequence: Number of the face.
        captured_at: Time of its frame.
        edge: Name of the edge.
        camera: Name of the camera.
        outbox: Id of the outbox.
        person: Number of the person, above 0.
        track: Number of its visit.
        visit: Id of its visit; empty: of this outbox and track; None: as early versions, without one.
        why: Reason of the shot.
        score: Quality of the picture.
    """
    draw = np.random.default_rng(sequence * 7919 + person)
    canvas = np.full((320, 270, 3), ROOMS[(person + len(camera)) % len(ROOMS)], np.uint8)
    cv2.rectangle(canvas, (0, 236), (270, 320), tuple(int(each * 0.86) for each in canvas[0, 0]), -1)
    dx, dy = (int(each) for each in draw.integers(-14, 15, 2))
    draw_face(canvas, 135 + dx, 150 + dy, 72 + int(draw.integers(-5, 6)), person)
    blurred = cv2.GaussianBlur(canvas, (0, 0), 0.8 + (1 - score))
    image = cv2.imencode(".jpg", blurred, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    left, top = 210 + dx * 3, 120 + dy * 3
    metadata = FaceMetadata(
        edge=edge,
        camera=camera,
        captured_at=captured_at,
        track=track,
        frame_size=(1280, 720),
        box=(left, top, left + 164, top + 198),
        landmarks=(),
        detector="yunet",
        score=0.93,
        shot_score=score,
        shot_terms={
            "confidence": 0.95,
            "frontal": min(1.0, score + 0.2),
            "size": 0.9,
            "whole": 1.0,
            "clear": 1.0,
            "sharp": score,
            "light": 0.88,
            "eyes": 0.97,
            "face": 0.99,
        },
        why=why,
        clock_synchronised=True,
        chosen_from=14,
        version="0.2.0",
        visit=f"{outbox}-5eed0001-{track}" if visit == "" else visit or "",
    )
    face_id = FaceId(outbox, sequence)
    return DrawnFace(write_metadata(image, face_id, metadata), face_id, metadata)
