"""One process per outbox and office: whoever holds the lock on `<outbox>.<office>`.

The kernel lets go of it when a process dies.
"""

import fcntl
import os
from pathlib import Path

from face_app.common.errors import OutboxError


class ProcessLock:
    """One candidate."""

    def __init__(self, outbox: Path, office: str = "sender") -> None:
        """Get ready to stand.

        Args:
            outbox: The file that the processes share.
            office: What only one of them may do.

        Raises:
            OutboxError: The lock file cannot be made.
        """
        self._path = outbox.with_name(f"{outbox.name}.{office}")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutboxError(f"{self._path}: {error.strerror}; let the user {os.getuid()} write there") from error

    def won(self) -> bool:
        """Try for the lock; once won it is kept.

        Raises:
            OutboxError: The file system has no locks.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise OutboxError(
                f"{self._path} cannot be locked: {error.strerror}; set outbox.path to a disk of this machine"
            ) from error
        return True

    def close(self) -> None:
        """Leave the place to another."""
        os.close(self._file)
