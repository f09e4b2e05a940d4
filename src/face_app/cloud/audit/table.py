"""Format an audit report as plain text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from face_app.cloud.audit.report import AuditReport, by_reason

EXAMPLES = 20
"""Maximum number of examples of one fault."""
COLUMNS = (
    *("captured", "stored", "under_way", "waiting", "refused", "expired", "erased", "deleted_by_rule", "missing"),
    *("unproven", "newer"),
)
"""Counts in the table, in this order."""


def table(report: AuditReport) -> str:
    """Return the report as text, with at most `EXAMPLES` of each fault."""
    return "\n".join([*_columns(list(_rows(report))), *_reasons(report), *_faults(report), *_rest(report)])


def _rows(report: AuditReport) -> Iterator[list[str]]:
    yield ["edge", "outbox", *(name.replace("_", " ") for name in COLUMNS), "mark"]
    for edge in report.edges:
        for outbox in edge.outboxes:
            yield [edge.edge, outbox.outbox, *_numbers(outbox.counts()), str(outbox.mark or "-")]
        if len(edge.outboxes) > 1:
            yield [edge.edge, "all", *_numbers(edge.counts()), ""]


def _numbers(counts: Mapping[str, int | None]) -> Iterator[str]:
    """Yield the numbers of a row; a question mark for each that needs a ledger, and a lower bound of the captured."""
    complete = None not in counts.values()
    for name in COLUMNS:
        count = counts[name]
        if count is None:
            yield "?"
        else:
            yield str(count) if complete or name != "captured" else f">={count}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        # Edge and outbox are text.
        cells[:2] = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        yield "  ".join(cells).rstrip()


def _reasons(report: AuditReport) -> Iterator[str]:
    for name, total in (("refused", report.refused), ("expired", report.expired)):
        if total:
            yield f"{name}: {by_reason(total)}"
    if report.quarantine:
        yield f"in quarantine: {by_reason(report.quarantine)}"
    if report.bare_images:
        yield f"bare images (test/seed/): {report.bare_images}"
    if report.objects_read is not None:
        yield f"objects read and compared: {report.objects_read}"


def _faults(report: AuditReport) -> Iterator[str]:
    for outbox in report.outboxes:
        where = f"{outbox.edge}, outbox {outbox.outbox}"
        yield from _listed(f"missing ({where}), by number", outbox.missing)
        title = "gaps, explained by the ledger or missing" if outbox.has_ledger else "gaps without a ledger"
        yield from _listed(f"{title} ({where}), by number", outbox.gaps)
        yield from _listed(f"given twice ({where}), by number", outbox.given_twice)
        yield from _listed(f"wrong ({where})", (f"{each.key}: {each.why}" for each in outbox.wrong))
        yield from _listed(f"several objects for one face ({where})", map(", ".join, outbox.duplicates))
        yield from _listed(f"unknown to the ledger ({where})", outbox.unknown)
        cure = "run `face-app erase --pending`, or erase their keys"
        yield from _listed(f"erased but there ({where}); {cure}", outbox.erased_but_there)
    yield from _listed("foreign objects", report.foreign)


def _listed(title: str, examples: Iterable[object]) -> Iterator[str]:
    rest = iter(examples)
    shown = list(islice(rest, EXAMPLES))
    if shown:
        yield f"{title}:"
        yield from (f"  {example}" for example in shown)
        if more := sum(1 for _ in rest):
            yield f"  … and {more} more"


def _rest(report: AuditReport) -> Iterator[str]:
    yield from _listed("may be lost", report.unproven)
    if report.not_judged:
        yield "not judged:"
        yield from (f"  {sentence}" for sentence in report.not_judged)
    yield report.verdict
