"""Capture what Apprise logs, and reduce it to a cause without secrets.

Apprise returns only True or False; the cause is in its log, beside addresses that contain tokens.
"""

import logging
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from face_app.common.log import MASK

MIN_SECRET = 4
"""Minimum length of a part of a URL that is masked, characters."""

# The first pattern that matches names the cause. With the last ones the message may have arrived.
_NOT_SENT = (
    (r"certificate verify failed|CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    (r"Name or service not known|NameResolution|getaddrinfo|name resolution", "its name cannot be resolved"),
    (r"Connection refused", "the connection is refused"),
    (r"[Cc]onnect ?[Tt]imeout|Failed to establish|[Nn]etwork is unreachable|No route to host", "it cannot be reached"),
    (r"ProxyError", "the proxy cannot be used"),
)
_UNANSWERED = re.compile(r"timed out|[Cc]onnection aborted|reset by peer|Broken pipe|IncompleteRead|RemoteDisconnected")
_STATUS = re.compile(r"error=(\d{3})\b")
_ADVICE = {401: "check the URL", 403: "check the URL", 404: "check the URL", 413: "the picture is too large for it"}


@dataclass(frozen=True)
class Failure:
    """Says why a message was not accepted.

    Attributes:
        cause: One line without secrets.
        may_have_arrived: True if the service took it and did not answer.
    """

    cause: str
    may_have_arrived: bool = False


class _Lines(logging.Handler):
    """Collects the lines of each thread."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.of_thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        lines = getattr(self.of_thread, "lines", None)
        # Requests and answers are logged too; the whole picture may be in them.
        if lines is not None and len(lines) < 100:
            lines.append((record.levelno, record.getMessage()[:2000]))


_handler = _Lines()


def capture() -> None:
    """Take the log of Apprise, so that no line of it reaches the log of the program."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    if _handler not in logger.handlers:
        logger.addHandler(_handler)


def begin() -> None:
    """Collect the lines of this thread from now on."""
    _handler.of_thread.lines = []


def failure(secrets: tuple[str, ...]) -> Failure:
    """Return the cause that the lines of this thread give.

    Args:
        secrets: Texts that the cause must not contain.
    """
    lines: list[tuple[int, str]] = getattr(_handler.of_thread, "lines", [])
    text = "\n".join(line for _, line in lines)
    exceptions = "\n".join(line for _, line in lines if "xception" in line)
    status = _STATUS.search(text)
    if status:
        return Failure(_answer(int(status[1])))
    for pattern, cause in _NOT_SENT:
        if re.search(pattern, exceptions or text):
            return Failure(cause)
    if _UNANSWERED.search(exceptions or text):
        return Failure("it did not answer in time, so the message may have arrived", may_have_arrived=True)
    warnings = [line for level, line in lines if level >= logging.WARNING]
    return Failure(mask(warnings[-1], secrets)[:200] if warnings else "it did not accept the message")


def _answer(status: int) -> str:
    try:
        phrase = f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        phrase = str(status)
    advice = _ADVICE.get(status)
    return f"it answered {phrase}" + (f"; {advice}" if advice else "")


def secrets_of(url: str) -> tuple[str, ...]:
    """Return every part of an Apprise URL that may be a secret: a token may be at the place of host, path or user."""
    rest = url.partition("://")[2]
    parts = {rest, *re.split(r"[/?&=:@,#]", rest)}
    return tuple(sorted({each for part in parts for each in (part, unquote(part)) if len(each) >= MIN_SECRET}))


def mask(text: str, secrets: tuple[str, ...]) -> str:
    """Replace secrets in a text, and put it on one line."""
    for secret in sorted(secrets, key=len, reverse=True):  # a long one may contain a short one
        text = text.replace(secret, MASK)
    return " ".join(text.split())
