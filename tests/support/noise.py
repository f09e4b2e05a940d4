"""Faces whose pixels are noise, so that each image has bytes of its own, and searches for traces of them."""

import io
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from PIL import Image

from face_app.common.metadata import FaceMetadata, write_metadata
from face_app.common.wire import FaceId
from face_app.edge.outbox.records import EncodedImage, NewFace
from support.faces import TAKEN, DrawnFace, drawn_face
from support.new_faces import new_face

STEP, WINDOW = 300, 48


def noise(seed: int, size: int = 96) -> bytes:
    """A JPEG of noise; the same seed gives the same bytes."""
    pixels = random.Random(seed).randbytes(size * size)
    file = io.BytesIO()
    Image.frombytes("L", (size, size), pixels).save(file, "JPEG", quality=60)
    return file.getvalue()


def noisy_new_face(seed: int, camera: str = "door") -> NewFace:
    """A face to commit."""
    return replace(new_face(camera), image=EncodedImage(noise(seed), "jpg"))


def noisy_face(
    sequence: int, *, edge: str = "jetson", camera: str = "door", captured_at: datetime = TAKEN, visit: str = ""
) -> DrawnFace:
    """A face as a message."""
    plain = drawn_face(sequence, edge=edge, camera=camera, captured_at=captured_at)
    metadata: FaceMetadata = replace(plain.metadata, visit=visit)
    face_id = FaceId("0badcafe", sequence)
    return DrawnFace(write_metadata(noise(sequence), face_id, metadata), face_id, metadata)


def traces(image: bytes, files: Iterable[Path]) -> list[str]:
    """Return the names of the files that contain a part of the pixels of an image."""
    windows = [image[at : at + WINDOW] for at in range(len(image) // 2, len(image) - WINDOW, STEP)]
    assert windows
    return [file.name for file in files if file.is_file() and _has(file.read_bytes(), windows)]


def _has(data: bytes, windows: list[bytes]) -> bool:
    return any(window in data for window in windows)
