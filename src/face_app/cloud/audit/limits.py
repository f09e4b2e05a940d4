"""List the limits of an audit: what its result does not say."""

from collections.abc import Iterator, Sequence

from face_app.cloud.audit.ledgers import LedgerIndex
from face_app.cloud.audit.listing import Listing
from face_app.cloud.audit.report import OutboxReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket.expiry import ExpiryRules

SHOWN = 20
"""Maximum number of numbers in a sentence; the JSON document has all."""


def limits(  # noqa: PLR0913
    reports: Sequence[OutboxReport],
    ledgers: LedgerIndex,
    listing: Listing,
    scope: Scope,
    rules: ExpiryRules,
    *,
    content: bool,
) -> Iterator[str]:
    """Yield each limit as a sentence."""
    yield from _of_scope(reports, ledgers, scope)
    if not content:
        yield "the content of objects: --no-content was asked for"
    yield from _of_disks(reports)
    yield from _of_expiry(reports, rules)
    if any(report.newer for report in reports):
        yield "faces captured after their ledger was written: the next ledger contains them"
    if listing.foreign:
        yield f"{len(listing.foreign)} foreign objects: their keys are not face-app keys"


def _of_scope(reports: Sequence[OutboxReport], ledgers: LedgerIndex, scope: Scope) -> Iterator[str]:
    if scope.ranged:
        yield "faces without a ledger entry are dated by the hour in their key; a partial hour counts as a whole one"
        yield "numbers that were given twice are listed whatever their time"
    if outside := sum(report.outside for report in reports):
        yield f"{outside} missing faces outside the time range, by the times of the faces around them"
    if scope.edge:
        yield f"quarantine and foreign objects outside {scope.edge}/: only without --edge"
    if ledgers.excluded_edges:
        yield f"the ledgers of {', '.join(ledgers.excluded_edges)}: --edge {scope.edge} was asked for"


def _of_disks(reports: Sequence[OutboxReport]) -> Iterator[str]:
    """Yield what a restored disk may hide: faces whose numbers did not reach the cloud before it."""
    given = [report for report in reports if report.has_ledger and (report.captured or report.newer)]
    if given:
        yield (
            "faces that a disk lost again, such as one restored from a copy, before the cloud knew their numbers; they "
            f"would have these numbers or later ones: {'; '.join(map(_numbers, given))}"
        )


def _numbers(report: OutboxReport) -> str:
    latest = report.unseen_from[-SHOWN:]
    earlier = len(report.unseen_from) - len(latest)
    more = f" and {earlier} earlier ones" if earlier else ""
    return f"{report.edge} {report.outbox} {', '.join(map(str, latest))}{more}"


def _of_expiry(reports: Sequence[OutboxReport], rules: ExpiryRules) -> Iterator[str]:
    if rules.unknown:
        yield f"the bucket's expiry rules ({rules.unknown}): " + (
            f"bucket.expire_days = {rules.days('')} counts" if rules.days_by_prefix else "a deleted face is missing"
        )
    if any(report.deleted_by_rule for report in reports):
        yield "faces older than the bucket's rule, by the clocks of their edges: whether they were lost before"
