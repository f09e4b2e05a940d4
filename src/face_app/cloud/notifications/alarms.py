"""Receive alarms from Alertmanager: its webhook, version 4."""

import hmac
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from face_app.cloud.gallery.words import plural
from face_app.cloud.notifications.deliveries import Deliveries, Message
from face_app.cloud.notifications.notification_file import NotificationFile, now_ms
from face_app.common.errors import SettingsError
from face_app.common.health_server import Answer

log = logging.getLogger(__name__)

MOST_NAMED = 20
"""Maximum number of alarms that one message names."""
KEEP_MS = 30 * 86_400_000
"""Time for which an alarm that has ended is known, milliseconds."""
MIN_TOKEN = 16
"""Minimum length of the token, characters."""


class _Alarm(BaseModel):
    status: Literal["firing", "resolved"]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    fingerprint: str = Field(min_length=1, max_length=64)


class _Request(BaseModel):
    version: Literal["4"]
    alerts: list[_Alarm] = Field(max_length=10_000)


def read_token(file: Path) -> str:
    """Read the bearer token from the first line of a file.

    Raises:
        SettingsError: The file cannot be read, or the token is short.
    """
    try:
        lines = file.expanduser().read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise SettingsError(f"notifications.alerts_token_file {file}: {cause}") from error
    token = lines[0].strip() if lines else ""
    if len(token) < MIN_TOKEN:
        raise SettingsError(
            f"notifications.alerts_token_file {file}: the token has {len(token)} characters; "
            f"write at least {MIN_TOKEN}, such as `openssl rand -hex 24` prints"
        )
    return token


class Alarms:
    """Makes messages of the alarms that are new or have ended. Thread-safe."""

    def __init__(
        self, token: str, file: NotificationFile, deliveries: Deliveries, on_message: Callable[[], None]
    ) -> None:
        """Prepare the receiver.

        Args:
            token: What requests must carry.
            file: The open file.
            deliveries: Takes the messages.
            on_message: Called after a message was added.
        """
        self._token = f"Bearer {token}".encode()
        self._file = file
        self._deliveries = deliveries
        self._on_message = on_message

    def authorised(self, authorization: str) -> bool:
        """Return True if the header of a request has the token."""
        return hmac.compare_digest(authorization.encode("latin-1", "replace"), self._token)

    def received(self, body: bytes) -> Answer:
        """Take a request. Alertmanager repeats it after an answer of 5xx only."""
        try:
            request = _Request.model_validate_json(body)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the body"
            log.warning("alarms: %s is not as Alertmanager's webhook version 4 has it", where)
            return Answer(400, f"{where} is not as Alertmanager's webhook version 4 has it\n")
        try:
            changed = self._write(request.alerts)
        except sqlite3.Error as error:
            log.warning("alarms: %s: %s; Alertmanager sends them again", self._file.path, error)
            return Answer(503, f"the alarms cannot be written: {error}\n")
        if changed:
            self._on_message()
        return Answer(200, f"{changed} of {len(request.alerts)} are new\n")

    def _write(self, alarms: list[_Alarm]) -> int:
        """Write alarms, and a message of those that are new or have ended; return their number."""
        with self._file.transaction() as connection:
            changed = []
            for alarm in alarms:
                known = connection.execute(
                    "SELECT status FROM alarms WHERE fingerprint = ?", (alarm.fingerprint,)
                ).fetchone()
                if known is None or known[0] != alarm.status:
                    changed.append(alarm)
                connection.execute(
                    "INSERT OR REPLACE INTO alarms VALUES (?, ?, ?)", (alarm.fingerprint, alarm.status, now_ms())
                )
            connection.execute("DELETE FROM alarms WHERE status = 'resolved' AND at < ?", (now_ms() - KEEP_MS,))
            if changed:
                self._deliveries.add(connection, _message(changed))
        return len(changed)


def _message(alarms: list[_Alarm]) -> Message:
    firing = [alarm for alarm in alarms if alarm.status == "firing"]
    ended = [alarm for alarm in alarms if alarm.status == "resolved"]
    if len(alarms) == 1:
        title = f"{'Alarm' if firing else 'Resolved'}: {_name(alarms[0])}"
    else:
        counts = [plural(len(firing), "alarm") if firing else "", f"{len(ended)} resolved" if ended else ""]
        title = ", ".join(count for count in counts if count)
    lines = [_line(alarm) for alarm in (*firing, *ended)]
    rest = len(lines) - MOST_NAMED
    if rest > 0:
        lines = [*lines[:MOST_NAMED], f"and {rest} more"]
    return Message(title, "\n".join(lines), "warning" if firing else "success")


def _name(alarm: _Alarm) -> str:
    return alarm.labels.get("alertname", "without a name")[:80]


def _line(alarm: _Alarm) -> str:
    """Return state, name and summary of an alarm, with the labels that say where it is."""
    state = "FIRING" if alarm.status == "firing" else "resolved"
    places = [f"{name}={alarm.labels[name]}" for name in ("edge", "camera", "instance", "job") if name in alarm.labels]
    summary = alarm.annotations.get("summary") or alarm.annotations.get("description", "")
    text = f"{state} {_name(alarm)}" + (f" ({', '.join(places)})" if places else "")
    return (text + (f": {summary}" if summary else ""))[:400]
