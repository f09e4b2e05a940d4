"""Define the object in which an audit leaves its report about one edge: ``audits/<edge>.json``.

Each audit that publishes replaces it. The gallery shows it; nothing else depends on it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from face_app.cloud.audit.report import AuditReport, OutboxReport
from face_app.common.errors import StoreError
from face_app.common.wire import NAME

REPORTS = "audits/"
"""Prefix of the reports."""
MAX_BYTES = 65_536
"""Maximum bytes of a report: what exceeds it is counted, and only the output of the audit names it."""
SENTENCES = 8
"""Maximum number of sentences of one kind."""
_KEY = re.compile(rf"{REPORTS}({NAME})\.json")

Sentence = Annotated[str, Field(max_length=300)]
Count = Annotated[int, Field(ge=0, lt=2**97)]


@dataclass(frozen=True)
class OutboxRow:
    """Contains what an audit found about one outbox.

    Attributes:
        outbox: Id of the outbox.
        ledger: True if a ledger was given.
        ledger_at: Time of the ledger by the clock of the edge; None if it is unknown.
        counts: Terms of the equation; None for each that needs a ledger, if none was given.
        faults: Number of faults by kind.
        unproven: What may be lost.
    """

    outbox: Annotated[str, Field(pattern=r"^[0-9a-f]{8}\z")]
    ledger: bool
    ledger_at: AwareDatetime | None
    counts: dict[str, Count | None]
    faults: dict[str, Count]
    unproven: tuple[Sentence, ...]


@dataclass(frozen=True)
class EdgeAudit:
    """Contains what an audit found about one edge.

    Attributes:
        version: Version of the document. A program reads no other one.
        edge: Name of the edge.
        at: Time of the audit.
        exit_code: Exit code of an audit of this edge alone.
        verdict: Result as one sentence.
        since: Time from which faces were in scope; None: no limit.
        until: Time before which faces were in scope; None: no limit.
        objects_read: Number of objects read and compared, of all edges in scope; None: not requested.
        unproven: What may be lost, one sentence each.
        not_judged: Limits of the audit, one sentence each.
        outboxes: Its outboxes, those with faults first.
        omitted: Number of outboxes that do not fit.
    """

    version: Literal[1]
    edge: Annotated[str, Field(pattern=rf"^{NAME}\z")]
    at: AwareDatetime
    exit_code: Annotated[int, Field(ge=0, lt=256)]
    verdict: Sentence
    since: AwareDatetime | None
    until: AwareDatetime | None
    objects_read: Count | None
    unproven: tuple[Sentence, ...]
    not_judged: tuple[Sentence, ...]
    outboxes: tuple[OutboxRow, ...]
    omitted: Count


_DOCUMENT = TypeAdapter(EdgeAudit)


def report_key(edge: str) -> str:
    """Return the key of the report about an edge."""
    return f"{REPORTS}{edge}.json"


def edge_of_report(key: str) -> str | None:
    """Parse the edge in the key of a report; return None for any other key."""
    match = _KEY.fullmatch(key)
    return match[1] if match else None


def dump_reports(report: AuditReport, edge: str | None, at: datetime) -> Iterator[tuple[str, bytes]]:
    """Yield key and bytes of the object about each edge of an audit.

    Args:
        report: Result of the audit.
        edge: The only edge in scope; None: all edges with a face, a ledger or a mark.
        at: Time of the audit.
    """
    names = {each.edge for each in report.edges} | ({edge} if edge else set())
    for name in sorted(names):
        own = replace(
            report,
            edges=tuple(each for each in report.edges if each.edge == name),
            # The sentence names the key. One of another edge is no doubt about this one.
            bad_marks=tuple(each for each in report.bad_marks if f"marks/{name}/" in each),
        )
        yield report_key(name), _bounded(_edge_audit(own, name, at))


def dump_audit(audit: EdgeAudit) -> dict[str, Any]:
    """Return a report as plain JSON values."""
    document: dict[str, Any] = _DOCUMENT.dump_python(audit, mode="json")
    return document


def load_report(data: bytes, key: str) -> EdgeAudit:
    """Parse an object that `dump_reports` has made.

    Raises:
        StoreError: The object is no report, has another version, or is about another edge than its key says.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"{len(data)} bytes")
        report = _DOCUMENT.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "document"
        raise StoreError(f"object {key} is not an audit report: {where[:80]}: {first['msg']:.160}") from error
    except ValueError as error:
        raise StoreError(f"object {key} is not an audit report: {error}") from error
    if report.edge != edge_of_report(key):
        raise StoreError(f"object {key} is a report about another edge: {report.edge}")
    return report


def _edge_audit(report: AuditReport, edge: str, at: datetime) -> EdgeAudit:
    rows = sorted(map(_row, report.outboxes), key=lambda row: (not row.faults, not row.unproven))
    return EdgeAudit(
        version=1,
        edge=edge,
        at=at,
        exit_code=report.exit_code,
        verdict=report.verdict[:300],
        since=report.since,
        until=report.until,
        objects_read=report.objects_read,
        unproven=_sentences(report.unproven),
        not_judged=_sentences(report.not_judged),
        outboxes=tuple(rows),
        omitted=0,
    )


def _row(report: OutboxReport) -> OutboxRow:
    return OutboxRow(
        outbox=report.outbox,
        ledger=report.has_ledger,
        ledger_at=report.ledger_at,
        counts=report.counts(),
        faults={kind: count for kind, count in report.faults.items() if count},
        unproven=_sentences(map(str, report.unproven)),
    )


def _sentences(given: Iterator[str] | tuple[str, ...]) -> tuple[str, ...]:
    sentences = [each if len(each) <= 300 else f"{each[:299]}…" for each in given]
    more = len(sentences) - SENTENCES
    return (*sentences[:SENTENCES], *([f"… and {more} more"] if more > 0 else []))


def _bounded(audit: EdgeAudit) -> bytes:
    """Serialize a report; omit as many of its last outboxes as necessary."""
    rows = audit.outboxes
    data = _DOCUMENT.dump_json(audit)
    while len(data) > MAX_BYTES:
        shown = audit.outboxes[: len(audit.outboxes) * 3 // 4]
        audit = replace(audit, outboxes=shown, omitted=len(rows) - len(shown))
        data = _DOCUMENT.dump_json(audit)
    return data
