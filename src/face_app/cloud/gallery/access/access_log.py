"""Write who saw and who erased which face: one line of JSON each."""

import json
import logging
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from face_app.common.errors import SettingsError

log = logging.getLogger(__name__)

Action = Literal["view", "download", "export", "erase", "login", "logout", "refused"]


class AccessLog:
    """Appends lines to a file, or writes them to the log of the program. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        """Open the file.

        Raises:
            SettingsError: It cannot be written.
        """
        self._path = path.expanduser() if path else None
        self._lock = threading.Lock()
        if self._path:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._path.touch(mode=0o600)
                self._path.open("a").close()
            except OSError as error:
                raise SettingsError(f"access_log {self._path}: {error.strerror}") from error

    def write(self, action: Action, *, user: str, address: str, key: str = "", detail: str = "") -> None:
        """Write one line.

        Raises:
            OSError: The file cannot be written; then the face must not be shown.
        """
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        values = {"at": at, "action": action, "user": user[:64], "address": address, "key": key, "detail": detail}
        line = json.dumps({name: value for name, value in values.items() if value})
        if self._path is None:
            log.info("access %s", line)
            return
        with self._lock, self._path.open("a") as file:  # opened each time, so that logrotate needs no signal
            file.write(line + "\n")
