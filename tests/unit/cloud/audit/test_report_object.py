"""The report that an audit leaves in the bucket: one object for each edge, small, and no part of the next audit."""

from datetime import datetime, timezone

import pytest

from face_app.cloud.audit.report_object import MAX_BYTES, EdgeAudit, dump_reports, load_report, report_key
from face_app.common.errors import StoreError
from support.audits import BEGAN, Face, Folder, audited, ledger_of

AT = datetime(2026, 11, 23, 6, 0, tzinfo=timezone.utc)


def published(folder: Folder, ledgers: list, edge: str | None = None) -> dict[str, EdgeAudit]:
    report, _ = audited(folder, ledgers)
    return {key: load_report(data, key) for key, data in dump_reports(report, edge, AT)}


def test_each_edge_has_a_report_of_its_own(tmp_path):
    folder = Folder(tmp_path)
    folder.put_faces(*map(Face, range(1, 4)), Face(1, edge="pi", outbox="5ca1ab1e"))
    entries = [Face(number).entry() for number in range(1, 5)]
    reports = published(folder, [ledger_of(entries, 4, written_at=BEGAN, a1=1)])
    assert list(reports) == ["audits/jetson.json", "audits/pi.json"]
    jetson, pi = reports.values()
    assert (jetson.exit_code, jetson.at, jetson.outboxes[0].ledger_at) == (9, AT, BEGAN)
    assert jetson.outboxes[0].faults == {"missing": 1}
    assert jetson.outboxes[0].counts["captured"] == 4
    assert "1 missing" in jetson.verdict
    assert (pi.exit_code, pi.outboxes[0].ledger, pi.outboxes[0].counts["waiting"]) == (10, False, None)
    assert "no ledger was given" in pi.outboxes[0].unproven[0]


def test_an_unreadable_mark_is_a_doubt_about_its_edge_alone(tmp_path):
    folder = Folder(tmp_path)
    for edge, outbox in (("jetson", "0badcafe"), ("pi", "5ca1ab1e")):
        folder.put_faces(Face(1, edge=edge, outbox=outbox))
        folder.put_mark(edge, outbox, a1=(1, 1))
    folder.put("marks/pi/5ca1ab1e/subscriber-2.json", b"broken")
    ledgers = [
        ledger_of([Face(1, edge=edge, outbox=outbox).entry()], 1, edge=edge, outbox=outbox, a1=1)
        for edge, outbox in (("jetson", "0badcafe"), ("pi", "5ca1ab1e"))
    ]
    jetson, pi = published(folder, ledgers).values()
    assert (jetson.exit_code, pi.exit_code) == (0, 10)


def test_an_edge_without_any_trace_has_a_report_too(tmp_path):
    (report,) = published(Folder(tmp_path), [], edge="pi").values()
    assert (report.edge, report.exit_code, report.outboxes) == ("pi", 10, ())


def test_the_next_audit_ignores_the_reports(tmp_path):
    folder = Folder(tmp_path)
    folder.put_faces(Face(1))
    folder.put(report_key("jetson"), b"{}")
    folder.put("audits/a/b.json", b"{}")
    report, _ = audited(folder, [ledger_of([Face(1).entry()], 1, a1=1)])
    assert report.foreign == ("audits/a/b.json",)
    assert report.proven


def test_its_size_is_limited_and_faults_come_first(tmp_path):
    folder = Folder(tmp_path)
    outboxes = [f"{number:08x}" for number in range(1, 401)]
    for outbox in outboxes:
        folder.put_faces(Face(1, outbox=outbox))
    folder.put_faces(Face(3, outbox=outboxes[-1]))
    report, _ = audited(
        folder, [ledger_of([Face(n, outbox=o).entry() for n in (1, 2, 3)], 3, outbox=o) for o in outboxes]
    )
    ((key, data),) = dump_reports(report, None, AT)
    assert len(data) <= MAX_BYTES
    loaded = load_report(data, key)
    assert len(loaded.outboxes) + loaded.omitted == 400
    assert loaded.outboxes[0].faults


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b"[]", b"[" * 60_000, b"1" * 5_000, b"0" * (MAX_BYTES + 1)])
def test_what_is_no_report_is_named(data):
    with pytest.raises(StoreError, match=r"audits/pi\.json is not an audit report"):
        load_report(data, "audits/pi.json")


def test_a_report_under_another_name_is_refused(tmp_path):
    (data,) = (data for _, data in dump_reports(audited(Folder(tmp_path), [])[0], "jetson", AT))
    with pytest.raises(StoreError, match="another edge"):
        load_report(data, "audits/pi.json")
