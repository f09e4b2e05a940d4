"""Every error that face-app raises on purpose, and the exit code each one ends a program with."""

from typing import Any


class FaceAppError(Exception):
    """Something went wrong that the operator can understand from one line."""

    exit_code = 1


class SettingsError(FaceAppError):
    """A setting is missing, unknown or out of range."""

    exit_code = 2


class SourceError(FaceAppError):
    """A source cannot be opened or gave nothing that can be decoded."""

    exit_code = 3


class DetectorError(FaceAppError):
    """A detector or its model cannot be loaded."""

    exit_code = 3


class OutboxError(FaceAppError):
    """The outbox cannot be opened or written."""

    exit_code = 4


class OutboxUnavailableError(OutboxError):
    """The outbox cannot be written now. Waiting, or room on the disk, helps."""


class OutboxFullError(OutboxUnavailableError):
    """The faces that wait take all the room that they may."""


class OutboxDamagedError(OutboxError):
    """The outbox is not whole. The next start sets it aside and saves what can be read."""


class BrokerError(FaceAppError):
    """A broker refuses us, for a reason that waiting does not cure."""

    exit_code = 5


class StoreError(FaceAppError):
    """A store did not take an object. Trying again later may help."""

    exit_code = 6


class StillWaitingError(FaceAppError):
    """The program ends while faces wait in the outbox. None of them is lost.

    Attributes:
        summary: What the program would have returned, where that is something.
    """

    exit_code = 7

    def __init__(self, line: str, summary: Any = None) -> None:
        super().__init__(line)
        self.summary = summary


class NotVerifiedError(FaceAppError):
    """A known face did not arrive, or arrived with other bytes."""

    exit_code = 8


class AuditError(FaceAppError):
    """The books do not balance: a face is missing, changed, or there twice."""

    exit_code = 9


class LedgerError(FaceAppError):
    """A ledger file cannot be read."""

    exit_code = 2


class MessageError(FaceAppError):
    """A message is not what it should be. It is refused, and its reason is counted.

    Attributes:
        reason: One word for metrics and quarantine prefixes, such as ``not-an-image``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
