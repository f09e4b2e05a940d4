"""Elect one process per outbox for one task, by a lock on the file `<outbox>.<name>`.

The kernel releases the lock when the process ends, however it ends.
"""

import fcntl
import os
from pathlib import Path

from face_app.common.errors import OutboxError


class ProcessLock:
    """Lets one process compete for a lock."""

    def __init__(self, path: Path, name: str) -> None:
        """Open the lock file, and create it if it is missing.

        Args:
            path: Outbox file that the processes share.
            name: Name of the task that only one of them may run.

        Raises:
            OutboxError: The lock file cannot be created.
        """
        self._path = path.with_name(f"{path.name}.{name}")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutboxError(
                f"{self._path}: {error.strerror}; give uid {os.getuid()} write permission there"
            ) from error

    def acquire(self) -> bool:
        """Try to acquire the lock without waiting.

        Returns:
            True if this process owns the lock, now or since an earlier call.

        Raises:
            OutboxError: The file system does not support locks.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise OutboxError(
                f"{self._path} cannot be locked: {error.strerror}; set outbox.path to a local disk"
            ) from error
        return True

    def release(self) -> None:
        """Release the lock and close the file."""
        os.close(self._file)
