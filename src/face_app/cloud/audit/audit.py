"""Run an audit: compare the ledgers of the edges with the bucket, face by face."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from face_app.cloud.audit.content import THREADS, wrong_contents
from face_app.cloud.audit.ledgers import LedgerIndex, index_ledgers
from face_app.cloud.audit.listing import BucketIndex, Listing, sort_keys
from face_app.cloud.audit.outbox import OutboxAudit
from face_app.cloud.audit.report import AuditReport, EdgeReport, OutboxReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket import operations
from face_app.common import settings
from face_app.common.ledger_file import EdgeLedger

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0
"""Seconds between two log lines about the progress."""

Item = TypeVar("Item")


def run(store: settings.Store, ledgers: Iterable[EdgeLedger], scope: Scope, *, content: bool) -> AuditReport:
    """Audit a bucket without changing it.

    The ledgers are read completely before the bucket is listed. So the list must contain every face that a ledger
    calls stored, and objects that are stored later are recognised as newer.

    Args:
        store: Store settings.
        ledgers: Ledgers of some or all edges. If there is none, the bucket alone is checked.
        scope: Faces to audit.
        content: Read every object and compare its SHA-256.

    Raises:
        LedgerError: A line of a ledger is invalid.
        StoreError: The bucket cannot be listed, or an object cannot be read.
        SettingsError: The credentials file cannot be read.
    """
    ledger_index = index_ledgers(ledgers, scope)
    keys = (key for prefix in scope.prefixes for key in operations.keys(store, prefix))
    listing = sort_keys(_with_progress(keys, "keys listed"))
    outboxes = {
        outbox: OutboxAudit(
            outbox,
            index=listing.outboxes.get(outbox) or BucketIndex(),
            ledger=ledger_index.outboxes.get(outbox),
            scope=scope,
        )
        for outbox in sorted(listing.outboxes.keys() | ledger_index.outboxes.keys())
    }
    reasons_by_key: dict[str, str] = {}
    read = 0
    if content:
        objects = (each for outbox in outboxes.values() for each in outbox.objects_to_read())
        get = operations.reader(store, connections=THREADS)
        for key, why in _with_progress(wrong_contents(get, objects), "objects read"):
            read += 1
            if why:
                reasons_by_key[key] = why
    reports = [report for outbox in outboxes.values() if (report := outbox.report(reasons_by_key))]
    return AuditReport(
        since=scope.since,
        until=scope.until,
        read=read if content else None,
        edges=tuple(_by_edge(reports)),
        quarantine=listing.quarantine,
        bare_images=listing.bare_images,
        foreign=listing.foreign,
        not_judged=tuple(_limits(reports, ledger_index, listing, scope, content=content)),
    )


def _with_progress(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield the items; log their count periodically."""
    logged = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() > logged + PROGRESS_SECONDS:
            logged = time.monotonic()
            log.info("%d %s", count, what)


def _by_edge(reports: list[OutboxReport]) -> Iterator[EdgeReport]:
    for edge in sorted({report.edge for report in reports}):
        yield EdgeReport(edge, tuple(report for report in reports if report.edge == edge))


def _limits(
    reports: list[OutboxReport], ledger_index: LedgerIndex, listing: Listing, scope: Scope, *, content: bool
) -> Iterator[str]:
    """Yield each limit of this audit as a sentence."""
    if not reports:
        yield "any face: none exists; check bucket, edge and times"
    alone = [report.outbox for report in reports if not report.ledger]
    if alone:
        yield (
            f"no ledger was given for {', '.join(alone)}: whether a gap is waiting, refused, expired or lost, and "
            "whether the newest faces arrived"
        )
    if scope.ranged:
        yield "faces without a ledger entry are dated by the hour in their key; a partial hour counts as a whole one"
    if scope.edge:
        yield f"quarantine and foreign objects outside {scope.edge}/: only without --edge"
    if ledger_index.left_out:
        yield f"the ledgers of {', '.join(ledger_index.left_out)}: --edge {scope.edge} was asked for"
    if not content:
        yield "the content of objects: --no-content was asked for"
    if any(report.newer for report in reports):
        yield "faces captured after their ledger was written: the next ledger contains them"
    if listing.foreign:
        yield f"{len(listing.foreign)} foreign objects: their keys are not face-app keys"
