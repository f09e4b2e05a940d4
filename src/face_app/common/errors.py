"""Define the errors of face-app and the exit code of each."""

from typing import Any


class FaceAppError(Exception):
    """Is the base of all errors whose message alone explains the cause to the operator."""

    exit_code = 1


class SettingsError(FaceAppError):
    """Reports that a setting is missing, unknown or out of range."""

    exit_code = 2


class SourceError(FaceAppError):
    """Reports that a source cannot be opened, or that none of its frames can be decoded."""

    exit_code = 3


class DetectorError(FaceAppError):
    """Reports that a detector or its model cannot be loaded."""

    exit_code = 3


class OutboxError(FaceAppError):
    """Reports that the outbox cannot be opened or written."""

    exit_code = 4


class OutboxUnavailableError(OutboxError):
    """Reports that the outbox cannot be written now. A later retry, or free disk space, may help."""


class OutboxFullError(OutboxUnavailableError):
    """Reports that the waiting faces use all of ``outbox.max_bytes``."""


class OutboxDamagedError(OutboxError):
    """Reports that the outbox file is damaged. The next start sets it aside and recovers the readable faces."""


class BrokerError(FaceAppError):
    """Reports that a broker refuses the connection permanently: a retry would be refused too."""

    exit_code = 5


class StoreError(FaceAppError):
    """Reports that a store did not accept an object. A later retry may help."""

    exit_code = 6


class StillWaitingError(FaceAppError):
    """Reports that the program ends while faces wait in the outbox. No face is lost.

    Attributes:
        summary: Result of the run; None if the program returns no result.
    """

    exit_code = 7

    def __init__(self, message: str, summary: Any = None) -> None:
        super().__init__(message)
        self.summary = summary


class NotVerifiedError(FaceAppError):
    """Reports that a known face did not arrive, or arrived with other bytes."""

    exit_code = 8


class AuditError(FaceAppError):
    """Reports that the audit does not balance: a face is missing, changed or duplicated."""

    exit_code = 9


class UnprovenError(FaceAppError):
    """Reports that the audit found no fault, but cannot prove that no face is lost."""

    exit_code = 10


class LedgerError(FaceAppError):
    """Reports that a ledger file cannot be read."""

    exit_code = 2


class MessageError(FaceAppError):
    """Reports that a message is invalid. The message is refused, and its reason is counted.

    Attributes:
        reason: One word for metrics and quarantine prefixes, such as ``not-an-image``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


REFUSALS = (
    "bad-id",
    "bad-key",
    "bad-metadata",
    "empty",
    "foreign-topic",
    "key-taken",
    "no-metadata",
    "not-an-image",
    "reserved-name",
    "too-large",
    "too-many-pixels",
    "too-many-scans",
    "too-slow",
    "unknown-schema",
    "wrong-camera",
    "wrong-edge",
)
"""Reasons of a refused message. Their counters exist from the start: the first count is an increase only after a 0."""
