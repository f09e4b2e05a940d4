"""Define the errors of face-app and the exit code of each."""

from typing import Any


class FaceAppError(Exception):
    """Base of all errors that one line explains to the operator."""

    exit_code = 1


class SettingsError(FaceAppError):
    """A setting is missing, unknown or out of range."""

    exit_code = 2


class SourceError(FaceAppError):
    """A source cannot be opened, or none of its frames can be decoded."""

    exit_code = 3


class DetectorError(FaceAppError):
    """A detector or its model cannot be loaded."""

    exit_code = 3


class OutboxError(FaceAppError):
    """The outbox cannot be opened or written."""

    exit_code = 4


class OutboxUnavailableError(OutboxError):
    """The outbox cannot be written now. A retry, or free disk space, helps."""


class OutboxFullError(OutboxUnavailableError):
    """The waiting faces use all of ``outbox.max_bytes``."""


class OutboxDamagedError(OutboxError):
    """The outbox file is damaged. The next start sets it aside and recovers readable faces."""


class BrokerError(FaceAppError):
    """A broker refuses the connection, for a reason that a retry does not cure."""

    exit_code = 5


class StoreError(FaceAppError):
    """A store did not accept an object. A later retry may help."""

    exit_code = 6


class StillWaitingError(FaceAppError):
    """The program ends while faces wait in the outbox. No face is lost.

    Attributes:
        summary: Result of the run, if the program has one.
    """

    exit_code = 7

    def __init__(self, line: str, summary: Any = None) -> None:
        super().__init__(line)
        self.summary = summary


class NotVerifiedError(FaceAppError):
    """A known face did not arrive, or arrived with other bytes."""

    exit_code = 8


class AuditError(FaceAppError):
    """The audit does not balance: a face is missing, changed or duplicated."""

    exit_code = 9


class LedgerError(FaceAppError):
    """A ledger file cannot be read."""

    exit_code = 2


class MessageError(FaceAppError):
    """A message is invalid. It is refused, and its reason is counted.

    Attributes:
        reason: One word for metrics and quarantine prefixes, such as ``not-an-image``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
