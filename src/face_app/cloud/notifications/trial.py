"""Send one drawn picture to every service, and say which of them accept it."""

import io
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageDraw

from face_app.cloud.notifications.deliveries import Message
from face_app.cloud.notifications.send_message import Attachment, Sender
from face_app.cloud.notifications.services import Service, read_services
from face_app.common.errors import NotVerifiedError, SettingsError
from face_app.common.settings import GallerySettings

SIZE = 160
"""Width and height of the picture, pixels."""


def run(settings: GallerySettings) -> list[str]:
    """Send the picture; return one line for each service.

    Raises:
        SettingsError: No file of services is set, or it cannot be used.
        NotVerifiedError: A service did not accept the picture; the message has the lines.
    """
    if settings.notifications.urls_file is None:
        raise SettingsError("notifications.urls_file: not set; it names the file with the services")
    services = read_services(settings.notifications.urls_file)
    with ThreadPoolExecutor(len(services)) as pool:
        results = list(pool.map(_try, services))
    lines = [line for line, _ in results]
    if not all(accepted for _, accepted in results):
        raise NotVerifiedError("\n".join(["a service did not accept the picture", *lines]))
    return lines


def _try(service: Service) -> tuple[str, bool]:
    message = Message("face-app: a test", "Notifications of new faces arrive here.")
    failure = Sender(service).send(message, Attachment("test.jpg", _drawing()))
    if failure:
        return f"{service.label}: failed: {failure.cause}", False
    return f"{service.label}: sent" + ("" if service.takes_pictures else ", without the picture: it takes none"), True


def _drawing() -> bytes:
    """Draw a face as a JPEG; no person is in it."""
    canvas = Image.new("RGB", (SIZE, SIZE), "white")
    draw = ImageDraw.Draw(canvas)
    draw.ellipse((20, 10, 140, 150), fill="wheat", outline="black", width=2)
    for x in (60, 100):
        draw.ellipse((x - 6, 58, x + 6, 70), fill="black")
    draw.arc((50, 70, 110, 125), 20, 160, fill="black", width=3)
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=90)
    return file.getvalue()
