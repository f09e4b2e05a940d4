"""No audit passes in silence after the files of an outbox went back in time."""

import sys
from collections import Counter

import pytest

from faults.restored import Result, run_case


def named(result: Result) -> bool:
    """Return True if the audit names the number of each lost face as one that it cannot know."""
    reports = {report.outbox: report for report in result.report.outboxes}
    return all(
        face.id.sequence >= min(reports[face.id.outbox].unseen_from)
        for face in result.lost_later
        if face.id.outbox in reports
    ) and any("a disk lost again" in sentence for sentence in result.report.not_judged)


@pytest.mark.parametrize("cases", [12, pytest.param(120, marks=pytest.mark.full)])
def test_restored_copies_and_mixed_blocks(tmp_path, seed, cases, capsys):
    counts: Counter[str] = Counter()
    for case in range(cases):
        home = tmp_path / str(case)
        home.mkdir()
        result = run_case(home, seed * 1000 + case)
        what = f"case {case} of seed {seed}: {result.truth.restored}, {result.report.verdict}"
        assert not (result.lost_marked and result.report.proven), f"{what}: {result.lost_marked}"
        assert not (result.lost_later and result.report.proven and not named(result)), f"{what}: {result.lost_later}"
        counts["cases"] += 1
        counts["with a lost face"] += bool(result.lost_marked or result.lost_later)
        counts["lost before the mark"] += bool(result.lost_marked)
        counts["of those exit 0"] += bool(result.lost_marked and result.report.proven)
        counts["lost later only"] += bool(result.lost_later and not result.lost_marked)
        counts["of those exit 0, named"] += bool(result.lost_later and not result.lost_marked and result.report.proven)
        counts["nothing lost"] += not (result.lost_marked or result.lost_later)
        counts["of those exit 0 "] += bool(not (result.lost_marked or result.lost_later) and result.report.proven)
    with capsys.disabled():
        sys.stdout.write(f"\nrestored copies, seed {seed}: {dict(counts)}\n")
