"""One message on its way through the subscriber."""

from dataclasses import dataclass
from datetime import datetime

from face_app.mqtt import Message


@dataclass(frozen=True, eq=False)
class Delivery:
    """One message as the broker handed it over.

    Attributes:
        message: Topic and payload, and what an acknowledgement needs.
        epoch: The connection it came in.
        at: When (aware).
    """

    message: Message
    epoch: int
    at: datetime
