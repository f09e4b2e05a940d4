"""Drawn faces to commit to an outbox; none shows a person."""

from datetime import datetime, timezone

from face_app.common.metadata import FaceMetadata
from face_app.edge.outbox.records import EncodedImage, NewFace
from support.faces import picture


def new_face(camera: str = "door", *, size: int = 40, score: float = 0.5, edge: str = "jetson") -> NewFace:
    """A face that is not committed yet."""
    return NewFace(
        EncodedImage(picture("JPEG", size), "jpg"),
        FaceMetadata(
            edge=edge,
            camera=camera,
            captured_at=datetime.now(timezone.utc),
            track=1,
            frame_size=(640, 480),
            box=(10, 20, 110, 140),
            landmarks=(),
            detector="drawn",
            score=1.0,
            shot_score=score,
            shot_terms={"size": 0.5},
            why="first",
            clock_synchronised=None,
        ),
    )
