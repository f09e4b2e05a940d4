"""List the limits of an audit: what its result does not say."""

from collections.abc import Iterator, Sequence

from face_app.cloud.audit.ledgers import LedgerIndex
from face_app.cloud.audit.listing import Listing
from face_app.cloud.audit.report import OutboxReport
from face_app.cloud.audit.scope import Scope
from face_app.cloud.bucket.expiry import ExpiryRules


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
    if ledgers.left_out:
        yield f"the ledgers of {', '.join(ledgers.left_out)}: --edge {scope.edge} was asked for"


def _of_disks(reports: Sequence[OutboxReport]) -> Iterator[str]:
    """Yield what a restored disk may hide: faces whose numbers did not reach the cloud before it."""
    given = [report for report in reports if report.ledger and report.captured]
    if any(report.mark for report in given):
        yield (
            "faces with a higher number than the mark that a disk lost again, such as one restored from a copy, before "
            "their number reached the cloud"
        )
    if unmarked := [f"{report.edge} {report.outbox}" for report in given if not report.mark]:
        yield f"faces that a restored disk lost: no mark of {', '.join(unmarked)} shows which numbers were given"
    for report in given:
        for span in report.known_in_part:
            yield (
                f"{report.edge}, outbox {report.outbox}: faces that followed {span} and were lost with a restored "
                "disk: no mark reaches these numbers"
            )


def _of_expiry(reports: Sequence[OutboxReport], rules: ExpiryRules) -> Iterator[str]:
    if rules.unknown:
        yield f"the bucket's expiry rules ({rules.unknown}): " + (
            f"bucket.expire_days = {rules.days('')} counts" if rules.days_by_prefix else "a deleted face is missing"
        )
    if any(report.deleted_by_rule for report in reports):
        yield "faces older than the bucket's rule, by the clocks of their edges: whether they were lost before"
