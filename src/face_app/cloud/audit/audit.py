"""Run an audit: compare the ledgers of the edges with the bucket, face by face."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from face_app.cloud.audit.content import THREADS, wrong_contents
from face_app.cloud.audit.evidence import group
from face_app.cloud.audit.ledgers import index_ledgers
from face_app.cloud.audit.leftovers import leftovers
from face_app.cloud.audit.limits import limits
from face_app.cloud.audit.listing import sort_keys
from face_app.cloud.audit.outbox import OutboxAudit
from face_app.cloud.audit.read_marks import read_marks
from face_app.cloud.audit.report import AuditReport, EdgeReport, OutboxReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket import operations
from face_app.cloud.bucket.tombstone import read_tombstones
from face_app.common import settings
from face_app.common.ledger_file import EdgeLedger

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0
"""Seconds between two log lines about the progress."""

Item = TypeVar("Item")
_NO_RULE = settings.Bucket()


def run(
    store: settings.Store,
    ledgers: Iterable[EdgeLedger],
    scope: Scope,
    *,
    content: bool,
    bucket: settings.Bucket = _NO_RULE,
) -> AuditReport:
    """Audit a bucket without changing it.

    The ledgers are read completely before the bucket is listed. So the list must contain every face that a ledger
    calls stored, and objects that are stored later are recognised as newer.

    Args:
        store: Store settings.
        ledgers: Ledgers of some or all edges. If there is none, the bucket alone is checked.
        scope: Faces to audit.
        content: Read every object and compare its SHA-256.
        bucket: Its `expire_days` counts if the bucket does not show its rules.

    Raises:
        LedgerError: A line of a ledger is invalid.
        StoreError: The bucket cannot be listed, or an object cannot be read.
        SettingsError: The credentials file cannot be read.
    """
    ledger_index = index_ledgers(ledgers, scope)
    # Before the faces: a mark of a face in flight would be ahead of the list.
    marks = read_marks(store, scope)
    keys = (key for prefix in scope.prefixes for key in operations.keys(store, prefix))
    listing = sort_keys(_with_progress(keys, "keys listed"), scope)
    rules = operations.expiry_rules(store, bucket)
    evidence = group(listing.outboxes, ledger_index.outboxes, marks.outboxes)
    get = operations.reader(store, connections=THREADS)
    tombstones = read_tombstones(list(listing.tombstones), get)
    left = leftovers(tombstones, listing.faces(), get)
    outboxes = [OutboxAudit(name, evidence[name], scope=scope, rules=rules, left=left) for name in sorted(evidence)]
    reasons_by_key: dict[str, str] = {}
    read = 0
    if content:
        objects = (each for outbox in outboxes for each in outbox.objects_to_read())
        for key, why in _with_progress(wrong_contents(get, objects), "objects read"):
            read += 1
            if why:
                reasons_by_key[key] = why
    reports = [report for outbox in outboxes if (report := outbox.report(reasons_by_key))]
    return AuditReport(
        since=scope.since,
        until=scope.until,
        objects_read=read if content else None,
        edges=tuple(_by_edge(reports)),
        quarantine=listing.quarantine,
        bare_images=listing.bare_images,
        foreign=listing.foreign,
        not_judged=(
            *limits(reports, ledger_index, listing, scope, rules, content=content),
            *(f"what a damaged tombstone covers: {why}" for _, why in sorted(tombstones.bad.items())),
        ),
        bad_marks=marks.unreadable,
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
