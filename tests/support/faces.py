"""Drawn faces with metadata; no person is in them."""

import functools
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime, timezone

from PIL import Image, ImageDraw

from face_app.common.metadata import FaceMetadata, write_metadata
from face_app.common.wire import FaceId, FaceTopic, object_key

TAKEN = datetime(2026, 11, 22, 18, 30, 1, 123456, tzinfo=timezone.utc)


@dataclass(frozen=True)
class DrawnFace:
    """A message as an edge would send it.

    Attributes:
        payload: JPEG with metadata.
        id: Of the face.
        metadata: Inside the file.
    """

    payload: bytes
    id: FaceId
    metadata: FaceMetadata

    @property
    def topic(self) -> str:
        return str(FaceTopic(self.metadata.edge, self.metadata.camera))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def key(self) -> str:
        place = FaceTopic(self.metadata.edge, self.metadata.camera)
        return object_key(place, self.id, self.metadata.captured_at, self.sha256, "jpg")


def drawn_face(
    sequence: int = 1,
    *,
    outbox: str = "0badcafe",
    edge: str = "jetson",
    camera: str = "door",
    captured_at: datetime = TAKEN,
) -> DrawnFace:
    """Draw the face with this number; the same arguments give the same bytes."""
    face_id = FaceId(outbox, sequence)
    metadata = FaceMetadata(
        edge=edge,
        camera=camera,
        captured_at=captured_at,
        track=sequence,
        frame_size=(640, 480),
        box=(10, 20, 110, 140),
        landmarks=(),
        detector="drawn",
        score=1.0,
        shot_score=0.5,
        shot_terms={"size": 0.5},
        why="first",
        clock_synchronised=None,
    )
    return DrawnFace(write_metadata(picture(), face_id, metadata), face_id, metadata)


@functools.cache
def picture(kind: str = "JPEG", size: int = 120) -> bytes:
    """Return a bare image, such as the original homework's programs send."""
    canvas = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(canvas)
    draw.ellipse((size * 0.1, size * 0.1, size * 0.9, size * 0.9), fill="wheat", outline="black")
    draw.point([(size * 0.35, size * 0.4), (size * 0.65, size * 0.4)], fill="black")
    draw.arc((size * 0.3, size * 0.4, size * 0.7, size * 0.8), 20, 160, fill="black")
    file = io.BytesIO()
    canvas.save(file, kind)
    return file.getvalue()
