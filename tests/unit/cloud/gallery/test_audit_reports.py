"""Page Ledgers shows the audits that were left in the bucket, as they are."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from face_app.cloud.audit.report_object import dump_reports
from face_app.cloud.gallery import audit_reports
from support.audits import Face, Folder, audited, ledger_of
from unit.cloud.gallery.conftest import World


@pytest.fixture(autouse=True)
def reread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_reports, "LIST_SECONDS", 0.0)


def publish(world: World, *, stored: range, ledger: bool = True, ledger_age: timedelta | None = None) -> None:
    """Store faces, audit them, and leave the report."""
    folder = Folder(world.bucket)
    folder.put_faces(*map(Face, stored))
    now = datetime.now(timezone.utc)
    ledgers = [ledger_of([Face(n).entry() for n in range(1, 10)], 9, a1=1)] if ledger else []
    if ledgers and ledger_age:
        ledgers = [ledger_of(ledgers[0].entries, 9, written_at=now - ledger_age, a1=1)]
    report, _ = audited(folder, ledgers)
    for key, data in dump_reports(report, None, now - timedelta(minutes=30)):
        world.write(key, data)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"stored": range(1, 10), "ledger_age": timedelta(hours=5)}, ["proven", "none lost", "30 min ago", "5 h old"]),
        ({"stored": range(1, 10)}, ["proven", "of unknown age"]),
        ({"stored": range(1, 8)}, ["fault found", "2 missing"]),
        (
            {"stored": range(1, 10), "ledger": False},
            ["not proven", "≥ 9", "unknown", "no ledger was given", "none</td>"],
        ),
    ],
)
def test_the_result_its_age_and_that_of_the_ledger_are_shown(world: World, values, expected):
    publish(world, **values)
    client = world.client(world.open())
    text = client.get("/ledgers").text
    for each in [*expected, "Last audit of jetson"]:
        assert each in text, each
    assert "Without an audit" not in text
    (audit,) = client.get("/api/ledgers").json()["audits"]
    assert (audit["edge"], audit["key"], audit["problem"]) == ("jetson", "audits/jetson.json", None)
    assert audit["age"] >= 1800
    age = values.get("ledger_age")
    assert audit["ledger_age"] is None if age is None else audit["ledger_age"] >= age.total_seconds()


def test_a_later_audit_replaces_the_report_and_a_deleted_one_disappears(world: World):
    publish(world, stored=range(1, 8))
    client = world.client(world.open())
    assert "fault found" in client.get("/ledgers").text
    publish(world, stored=range(1, 10))
    assert "fault found" not in client.get("/ledgers").text
    (world.bucket / "audits/jetson.json").unlink()
    assert "Without an audit" in client.get("/ledgers").text


def altered(world: World, **values: Any) -> bytes:
    publish(world, stored=range(1, 10))
    return json.dumps({**json.loads((world.bucket / "audits/jetson.json").read_bytes()), **values}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"\xff\xd8\xff\xe0",
        b"[" * 60_000,
        b'{"verdict": "balanced"}',
        b" " * 70_000 + b"{}",
        {"version": 2},
        {"edge": "pi"},
        {"at": "2026-11-22T12:00:00"},
        {"verdict": "x" * 1000},
        {"exit_code": "x"},
        {"outboxes": [{"outbox": "../../etc"}]},
        {"not_judged": {"a": 1}},
    ],
    ids=repr,
)
def test_a_damaged_or_foreign_report_is_shown_as_such(world: World, content):
    data = altered(world, **content) if isinstance(content, dict) else content
    world.write("audits/jetson.json", data)
    world.write("audits/notes.txt", b"x")
    world.write("audits/a/b.json", b"{}")
    client = world.client(world.open())
    page = client.get("/ledgers")
    assert page.status_code == 200
    assert "This report cannot be read" in page.text
    document = client.get("/api/ledgers").json()
    assert document["audits"][0]["report"] is None
    assert document["foreign"] == 2
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
def test_extreme_times_and_numbers_break_no_page(world: World, at):
    publish(world, stored=range(1, 10))
    far = {"at": at, "since": "0001-01-01T00:00:00+00:00", "exit_code": 77}
    world.write("audits/jetson.json", altered(world, **far, objects_read=2**80))
    client = world.client(world.open(timezone="Pacific/Kiritimati"))
    page = client.get("/ledgers")
    assert page.status_code == 200
    assert "exit code 77" in page.text
    assert client.get("/api/ledgers").status_code == 200


def test_names_in_a_report_are_escaped(world: World):
    world.write("audits/jetson.json", altered(world, verdict="<script>alert(1)</script>", unproven=["<b>x"]))
    text = world.client(world.open()).get("/ledgers").text
    assert "&lt;script&gt;" in text
    assert "<b>x" not in text
