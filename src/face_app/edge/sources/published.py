"""Receive pictures that another program publishes by MQTT, such as the snapshots of a camera system."""

import hashlib
import logging
import queue
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType

import PIL
from pydantic import ValidationError

from face_app.common import settings
from face_app.common.errors import MessageError, SourceError
from face_app.common.image_container import split_image
from face_app.common.metadata import decoded_size
from face_app.common.mqtt import Connection, Message, client_id
from face_app.common.wire import NAME
from face_app.edge import metrics
from face_app.edge.outbox.records import EncodedImage
from face_app.edge.sources.address import HOST, PUBLISHED_PORTS

log = logging.getLogger(__name__)

CAMERA = "{camera}"
"""Level of the topic that names the camera of a picture."""
SESSION_SECONDS = 7 * 86400
"""Seconds for which the broker retains the messages of a stopped program (QoS 1)."""
WINDOW = 20
"""Number of messages at QoS 1 that wait for their commit here; the broker queues the others."""
MAX_WAITING = 20
"""Number of messages that wait here, above which those at QoS 0 are dropped: no broker queues them."""
MAX_BYTES = 4_900_000
"""Maximum bytes of a picture. The cloud accepts messages of 5 MB, metadata included."""
MAX_PACKET = 20_000_000
"""Maximum bytes of a message that the broker may deliver. Between both limits a picture is refused and counted."""
MAX_PIXELS = 16_000_000
"""Maximum number of pixels of a picture; the cloud has the same limit."""
FIXED_PILLOW = 13
"""First version of Pillow with a fixed decoder of JPEG. Python 3.10, which JetPack 6 has, gets an older one."""

_PLACE = re.compile(r"broker\.(?:host|port)(?:(?:,| and) broker\.(?:host|port))*")
_ADDRESS = re.compile(r"(?P<scheme>mqtts?)://(?P<where>[^/]*)/(?P<topic>.+)")


class SourceBroker(settings.Broker):
    """Is the broker of a source: its address is in `camera.source`, its identity in `source_broker`."""

    def rename_settings(self, advice: str) -> str:
        """Return an advice with the names of these settings."""
        return re.sub(r"\bbroker\.(?=[a-z])", "source_broker.", _PLACE.sub("camera.source", advice))


@dataclass(frozen=True)
class PublishedSource:
    """Describes where pictures are published.

    Attributes:
        broker: Address and identity.
        filter: Topic filter.
        camera_level: Index of the topic's level that names the camera; None if no level does.
    """

    broker: settings.Broker
    filter: str
    camera_level: int | None

    def camera(self, topic: str, default: str) -> str:
        """Return the name of the camera that published on a topic.

        Raises:
            MessageError: It is no valid name.
        """
        name = default if self.camera_level is None else topic.split("/")[self.camera_level]
        if not re.fullmatch(NAME, name):
            raise MessageError("camera-name", f"{name!r:.80} in topic {topic!r:.80} is no valid name of a camera")
        return name


@dataclass(frozen=True)
class PublishedPicture:
    """Contains one received message.

    Attributes:
        topic: Its topic.
        data: Its payload.
        received_at: Time of its arrival (aware).
        message: The message, to acknowledge it.
        epoch: Connection that it came by.
    """

    topic: str
    data: bytes
    received_at: datetime
    message: Message
    epoch: int

    @property
    def origin(self) -> str:
        """Return a digest of topic and payload: equal for a message that is delivered twice."""
        return hashlib.sha256(f"{self.topic}\n".encode() + self.data).hexdigest()


def parse_published(source: str, identity: settings.Identity) -> PublishedSource:
    """Parse ``mqtt://HOST[:PORT]/TOPIC``. One level of the topic may be ``{camera}``; ``+`` and ``#`` are wildcards.

    Args:
        source: The setting `camera.source`.
        identity: The settings `source_broker`.

    Raises:
        SourceError: The address is not of this form, or contradicts the identity; or the decoder is not safe.
    """
    if int(PIL.__version__.partition(".")[0]) < FIXED_PILLOW:
        raise SourceError(
            f"camera.source: Pillow {PIL.__version__} must not decode pictures of other programs; "
            "use an image with Python 3.11 or newer (images_base_name)"
        )
    scheme, separator, rest = source.partition("://")
    match = _ADDRESS.fullmatch(scheme.lower() + separator + rest)
    if match and "@" in match["where"]:
        raise SourceError("camera.source contains a password; set source_broker.username and password_file instead")
    if not match or not HOST.fullmatch(match["where"]):
        raise SourceError("camera.source is no address of pictures; set it to mqtt://HOST[:PORT]/TOPIC")
    if (match["scheme"] == "mqtts") != bool(identity.ca_file):
        raise SourceError(
            "camera.source and source_broker.ca_file contradict each other: set mqtts://... and ca_file, or neither"
        )
    host, _, port = match["where"].partition(":") if "[" not in match["where"] else _split_address(match["where"])
    try:
        broker = SourceBroker.model_validate(
            {**identity.model_dump(), "host": host, "port": port or PUBLISHED_PORTS[match["scheme"]]}
        )
    except ValidationError as error:
        raise SourceError(f"camera.source: {error.errors()[0]['msg']}; set it to mqtt://HOST[:PORT]/TOPIC") from error
    levels = match["topic"].split("/")
    _check_levels(levels)
    level = levels.index(CAMERA) if CAMERA in levels else None
    return PublishedSource(broker, "/".join("+" if each == CAMERA else each for each in levels), level)


def _split_address(where: str) -> tuple[str, str, str]:
    host, _, port = where.removeprefix("[").partition("]")
    return host, ":", port.removeprefix(":")


def _check_levels(levels: list[str]) -> None:
    wild = any(("+" in each and each != "+") or ("#" in each and each != "#") for each in levels)
    braces = any(("{" in each or "}" in each) and each != CAMERA for each in levels)
    if wild or braces or "#" in levels[:-1] or levels.count(CAMERA) > 1 or levels[0].startswith("$"):
        raise SourceError(
            f"camera.source: {'/'.join(levels)[:80]!r} is no topic filter; each level is a name, + or {CAMERA} (once), "
            "and the last one may be #"
        )


def check_picture(data: bytes) -> tuple[EncodedImage, tuple[int, int]]:
    """Decode a picture completely; return it unchanged, with its width and height.

    Raises:
        MessageError: It is no whole JPEG or PNG, or has too many pixels.
    """
    parts = split_image(data)
    size = decoded_size(parts.pixels, MAX_PIXELS, parts.scans)
    return EncodedImage(data, "png" if parts.suffix == "png" else "jpg"), size


class PublishedPictures:
    """Receives pictures in a network thread; the broker retains those that are not acknowledged."""

    def __init__(self, source: PublishedSource, session: str) -> None:
        """Prepare the connection; entering the context opens it.

        Args:
            source: Where the pictures are published.
            session: Name of the session, the same after each start.

        Raises:
            SettingsError: An identity file cannot be read.
        """
        self._waiting: queue.SimpleQueue[PublishedPicture] = queue.SimpleQueue()
        self.connection = Connection(
            source.broker,
            client_id("pictures", session, source.broker),
            subscriptions=[source.filter],
            on_message=self._received,
            session_seconds=SESSION_SECONDS,
            receive_maximum=WINDOW,
            max_received_bytes=MAX_PACKET,
            new_only=True,
        )

    def __enter__(self) -> "PublishedPictures":
        self.connection.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection. The broker delivers pictures that were not acknowledged again."""
        self.connection.stop()

    def next(self, seconds: float) -> PublishedPicture | None:
        """Return the next picture; None if none arrives within `seconds`."""
        try:
            return self._waiting.get(timeout=seconds)
        except queue.Empty:
            return None

    def acknowledge(self, picture: PublishedPicture) -> None:
        """Acknowledge a picture that is committed, or refused for good."""
        self.connection.acknowledge(picture.message, picture.epoch)

    def _received(self, message: Message, epoch: int) -> None:
        if len(message.payload) > MAX_BYTES:  # here, because those that wait share the memory of a small box
            log.warning("a picture on %.200r is refused: %d bytes > %d", message.topic, len(message.payload), MAX_BYTES)
            metrics.PICTURES_REFUSED.labels("too-large").inc()
            self.connection.acknowledge(message, epoch)
            return
        if message.qos == 0 and self._waiting.qsize() >= MAX_WAITING:
            metrics.PICTURES_REFUSED.labels("too-many").inc()
            return
        now = datetime.now(timezone.utc)
        self._waiting.put(PublishedPicture(message.topic, bytes(message.payload), now, message, epoch))
