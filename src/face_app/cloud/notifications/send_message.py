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
"""Maximum seconds for one message. Apprise limits each read, so a peer that sends single bytes would never end it."""


@dataclass(frozen=True)
class Attachment:
    """Contains the picture of a message.

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

    def send(self, message: Message, picture: Attachment | None) -> Failure | None:
        """Send a message; return why it was not accepted, None if it was."""
        if self._thread and self._thread.is_alive():
            return Failure("it has not finished an earlier message")
        answers: list[Failure | None] = []
        # A thread cannot be stopped, so one that hangs runs on in the background.
        self._thread = threading.Thread(
            target=lambda: answers.append(_send(self.service, message, picture)), name="notify", daemon=True
        )
        self._thread.start()
        self._thread.join(self._seconds)
        if answers:
            return answers[0]
        cause = f"it did not answer within {self._seconds:.0f} s, so the message may have arrived"
        return Failure(cause, may_have_arrived=True)


def _send(service: Service, message: Message, picture: Attachment | None) -> Failure | None:
    try:
        import apprise  # noqa: PLC0415

        service_log.begin()
        with _attachment(picture if service.takes_pictures else None) as attachment:
            accepted = service.plugin.notify(
                title=message.title,
                body=message.body,
                notify_type=message.kind,
                body_format=apprise.NotifyFormat.TEXT,
                attach=attachment,
            )
    except Exception as error:  # noqa: BLE001 - of this machine, or of one of 130 services; its text may contain the URL
        return Failure(f"sending failed: {type(error).__name__}")
    return None if accepted else service_log.failure(service.secrets)


@contextmanager
def _attachment(picture: Attachment | None) -> Iterator[Any]:
    """Yield a picture as a file in memory: many services need a path, and no face may reach a disk."""
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
