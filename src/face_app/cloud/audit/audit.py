"""Whether any face was lost: what the edges' ledgers say against what the bucket has, face by face."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from face_app.cloud.audit.content import THREADS, wrong_contents
from face_app.cloud.audit.ledgers import LedgerIndex, open_ledger_index
from face_app.cloud.audit.listing import BucketIndex, Listing, sort_keys
from face_app.cloud.audit.outbox import OutboxAudit
from face_app.cloud.audit.report import AuditReport, EdgeReport, OutboxReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket import bucket
from face_app.common import settings
from face_app.common.ledger_file import EdgeLedger

log = logging.getLogger(__name__)

TELL_EVERY = 5.0

Item = TypeVar("Item")


def run(store: settings.Store, ledgers: Iterable[EdgeLedger], scope: Scope, *, content: bool) -> AuditReport:
    """Audit a bucket, changing nothing.

    The ledgers are read to their ends before the bucket is listed: what an edge knew to be stored by then must be
    there, and what was stored since is told from what no ledger knows.

    Args:
        store: Where the faces are.
        ledgers: Of none, some or all edges. Without one the bucket is judged by itself.
        scope: Which faces.
        content: Read every object and compare its SHA-256.

    Raises:
        LedgerError: A line of a ledger is not a face.
        StoreError: The bucket cannot be listed, or an object cannot be read.
        SettingsError: The credentials file cannot be read.
    """
    books = open_ledger_index(ledgers, scope)
    keys = (key for prefix in scope.prefixes for key in bucket.keys(store, prefix))
    listing = sort_keys(_told(keys, "keys listed"))
    outboxes = {
        outbox: OutboxAudit(outbox, listing.shelves.get(outbox) or BucketIndex(), books.outboxes.get(outbox), scope)
        for outbox in sorted(listing.shelves.keys() | books.outboxes.keys())
    }
    wrong, read = {}, 0
    if content:
        claims = (claim for outbox in outboxes.values() for claim in outbox.claims())
        get = bucket.reader(store, connections=THREADS)
        for key, why in _told(wrong_contents(get, claims), "objects read"):
            read += 1
            if why:
                wrong[key] = why
    reports = [report for outbox in outboxes.values() if (report := outbox.report(wrong))]
    return AuditReport(
        since=scope.since,
        until=scope.until,
        read=read if content else None,
        edges=tuple(_by_edge(reports)),
        quarantine=listing.quarantine,
        bare_images=listing.bare_images,
        foreign=listing.foreign,
        not_judged=tuple(_not_judged(reports, books, listing, scope, content=content)),
    )


def _told(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Pass items on; say from time to time how many there were."""
    told = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() > told + TELL_EVERY:
            told = time.monotonic()
            log.info("%d %s", count, what)


def _by_edge(reports: list[OutboxReport]) -> Iterator[EdgeReport]:
    for edge in sorted({report.edge for report in reports}):
        yield EdgeReport(edge, tuple(report for report in reports if report.edge == edge))


def _not_judged(
    reports: list[OutboxReport], books: LedgerIndex, listing: Listing, scope: Scope, *, content: bool
) -> Iterator[str]:
    if not reports:
        yield "any face: there is none; are bucket, edge and times right?"
    alone = [report.outbox for report in reports if not report.ledger]
    if alone:
        yield (
            f"no ledger was given for {', '.join(alone)}: whether a gap waits, was refused, expired or is lost, and "
            "whether the newest faces arrived"
        )
    if scope.ranged:
        yield "faces that no ledger knows have the hour of their key, and a part of an hour counts as all of it"
    if scope.edge:
        yield f"quarantine and foreign objects outside {scope.edge}/: only without --edge"
    if books.left_out:
        yield f"the ledgers of {', '.join(books.left_out)}: --edge {scope.edge} was asked for"
    if not content:
        yield "the content of objects: --no-content was asked for"
    if any(report.newer for report in reports):
        yield "faces captured after their ledger was written: the next ledger knows them"
    if listing.foreign:
        yield f"{len(listing.foreign)} foreign objects: they are not faces of ours"
