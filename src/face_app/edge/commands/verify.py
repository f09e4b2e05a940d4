"""Run `face-app verify` at the edge: send a test card as a face, and wait for its receipt."""

import io
import time
from dataclasses import dataclass
from datetime import datetime, timezone

from PIL import Image, ImageDraw, ImageFont

from face_app import __version__
from face_app.common.errors import NotVerifiedError
from face_app.common.metadata import FaceMetadata
from face_app.common.settings import EdgeSettings
from face_app.edge.clock import clock_synchronised
from face_app.edge.commands.stop import stop_on_signals
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.outbox.records import EncodedImage, NewFace
from face_app.edge.uplink.sender import Sender

CAMERA = "verify"
"""Camera name of test cards."""
CARD_SIZE = (320, 200)
"""Width and height of a card, pixels."""
POLL_SECONDS = 0.05
"""Seconds between two polls of the card's state; another process may be the sender."""


@dataclass(frozen=True)
class StoredCard:
    """Describes a test card that was stored, as plain JSON values.

    Attributes:
        id: Face id of the card.
        key: Key of its object.
        sha256: Hex digest of its image file.
        latency_ms: Milliseconds from the commit to the receipt.
    """

    id: str
    key: str
    sha256: str
    latency_ms: float


def run(settings: EdgeSettings, *, wait: float) -> StoredCard:
    """Commit a test card and wait for its receipt.

    Args:
        settings: Settings of the edge.
        wait: Maximum seconds to wait for the receipt.

    Raises:
        OutboxError: The outbox cannot be opened or written.
        NotVerifiedError: No receipt arrived in time, or the card was refused. A card without a receipt stays in
            the outbox.
    """
    now = datetime.now(timezone.utc)
    with (
        stop_on_signals() as stop,
        Outbox(settings.outbox) as outbox,
        Sender(settings, outbox) as sender,
    ):
        outbox.append([_draw_card(settings, now)])
        sender.wake()
        deadline = time.monotonic() + wait
        while outbox.run_counts().waiting and time.monotonic() < deadline and not stop.wait(POLL_SECONDS):
            pass  # `stop.wait` is the pause between two polls
        (face,) = outbox.run_faces()
        obstacle = sender.state.obstacle
    if face.state == "refused":
        raise NotVerifiedError(f"the cloud refused the test card {face.id}: {face.reason}")
    if face.state == "erased":
        raise NotVerifiedError(f"a tombstone covers the test card {face.id}: run verify again")
    if face.state != "stored" or face.updated_at is None:
        outcome = "had not arrived when a signal came" if stop.is_set() else f"did not arrive within {wait:.0f} s"
        raise NotVerifiedError(f"the test card {face.id} {outcome}, and waits: {obstacle}")
    return StoredCard(
        id=str(face.id),
        key=face.key,
        sha256=face.sha256,
        latency_ms=round((face.updated_at - face.captured_at) * 1000, 1),
    )


def _draw_card(settings: EdgeSettings, now: datetime) -> NewFace:
    """Draw a card whose text identifies it in the bucket."""
    picture = Image.new("RGB", CARD_SIZE, "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((4, 4, CARD_SIZE[0] - 5, CARD_SIZE[1] - 5), outline="black", width=2)
    text = f"face-app verify\n{settings.edge}\n{now:%Y-%m-%d}\n{now:%H:%M:%S.%f} UTC"
    draw.multiline_text((20, 20), text, "black", ImageFont.load_default(size=24), spacing=12)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=settings.crop.quality)
    metadata = FaceMetadata(
        edge=settings.edge,
        camera=CAMERA,
        captured_at=now,
        track=0,
        frame_size=CARD_SIZE,
        box=(0, 0, *CARD_SIZE),
        landmarks=(),
        detector="verify",
        score=1.0,
        shot_score=1.0,
        shot_terms={},
        why="verify",
        clock_synchronised=clock_synchronised(),
        version=__version__,
    )
    return NewFace(EncodedImage(file.getvalue(), "jpg"), metadata)
