"""Send one message to one service, and never wait longer than a limit."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from face_app.cloud.notifications import service_log
from face_app.cloud.notifications.deliveries import Message
from face_app.cloud.notifications.service_log import Failure
from face_app.cloud.notifications.services import Service

SEND_SECONDS = 60.0
"""Maximum seconds for one message: Apprise's own limits are for each read, and a slow peer can send a byte for each."""


@dataclass(frozen=True)
class Picture:
    """Is an attachment.

    Attributes:
        name: File name.
        data: Its bytes.
    """

    name: str
    data: bytes

    @property
    def media_type(self) -> str:
        """Return the type of its content."""
        return "image/png" if self.name.endswith(".png") else "image/jpeg"


class Sender:
    """Sends to one service, one message at a time."""

    def __init__(self, service: Service, *, seconds: float = SEND_SECONDS) -> None:
        self.service = service
        self._seconds = seconds
        self._thread: threading.Thread | None = None

    def send(self, message: Message, picture: Picture | None) -> Failure | None:
        """Send a message; return why it was not accepted, None if it was."""
        if self._thread and self._thread.is_alive():
            return Failure("it still takes an earlier message")
        answers: list[Failure | None] = []
        # A thread cannot be stopped, so one that hangs is left alone until it ends.
        self._thread = threading.Thread(
            target=lambda: answers.append(_send(self.service, message, picture)), name="notify", daemon=True
        )
        self._thread.start()
        self._thread.join(self._seconds)
        if answers:
            return answers[0]
        cause = f"it did not answer within {self._seconds:.0f} s, so the message may have arrived"
        return Failure(cause, may_have_arrived=True)


def _send(service: Service, message: Message, picture: Picture | None) -> Failure | None:
    import apprise  # noqa: PLC0415

    service_log.begin()
    with _attachment(picture if service.takes_pictures else None) as attachment:
        try:
            accepted = service.plugin.notify(
                title=message.title,
                body=message.body,
                notify_type=message.kind,
                body_format=apprise.NotifyFormat.TEXT,
                attach=attachment,
            )
        except Exception as error:  # noqa: BLE001 - one of 130 services of others; its text may contain the URL
            return Failure(f"Apprise failed: {type(error).__name__}")
    return None if accepted else service_log.failure(service.secrets)


@contextmanager
def _attachment(picture: Picture | None) -> Iterator[Any]:
    """Yield a picture as a file that is only in memory: many services need a path, and no face may remain on a disk."""
    import apprise  # noqa: PLC0415
    from apprise.attachment.file import AttachFile  # noqa: PLC0415

    if picture is None:
        yield None
        return
    descriptor = os.memfd_create("picture")
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path of its own
        file.write(picture.data)
        file.flush()
        attach_file: Any = AttachFile  # it has no types
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
        yield apprise.AppriseAttachment(attach_file(path, name=picture.name, mimetype=picture.media_type))
