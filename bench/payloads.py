"""Faces of the size that a camera gives; no person is in any."""

import functools
import io
from dataclasses import replace
from pathlib import Path

from PIL import Image

from face_app.common.metadata import write_metadata
from face_app.common.settings import OutboxFile
from face_app.common.wire import FaceId
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import EncodedImage, NewFace
from support.new_faces import new_face

CAMERA = "bench"


@functools.cache
def picture() -> bytes:
    """A JPEG of quality 90 with the noise of a sensor: 17 kB, as a crop of 180 to 220 pixels has."""
    noise = [Image.effect_noise((158, 192), 22) for _ in range(3)]
    canvas, file = Image.merge("RGB", noise).resize((168, 206), Image.Resampling.BICUBIC), io.BytesIO()
    canvas.save(file, "JPEG", quality=90)
    return file.getvalue()


def face() -> NewFace:
    """A face that is not committed yet."""
    return replace(new_face(CAMERA), image=EncodedImage(picture(), "jpg"))


def payload(number: int) -> bytes:
    """The message of a face; each number its own."""
    new = face()
    return write_metadata(new.image.data, FaceId("0badcafe", number), new.metadata)


def fill(outbox: Path, count: int) -> None:
    """Commit so many faces to a new outbox."""
    for file in outbox.parent.glob(f"{outbox.name}*"):
        file.unlink()
    with Outbox(OutboxFile(path=outbox)) as waiting:
        for first in range(0, count, 100):
            waiting.append([face() for _ in range(min(100, count - first))])
