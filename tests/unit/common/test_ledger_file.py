"""A ledger reads back, line by line, and says which line does not."""

import errno
import io
import json
import os
import resource
import threading
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from face_app.common.errors import LedgerError
from face_app.common.ledger_file import EdgeLedger, LedgerEntry, open_ledgers, read_ledger, write_ledger
from face_app.common.wire import FaceId

AT = datetime(2026, 11, 22, 18, 30, tzinfo=timezone(timedelta(hours=1)))
ENTRY = LedgerEntry(FaceId("0badcafe", 1), "jetson/door/x.jpg", "ab" * 32, "refused", "too-large", AT)

times = st.timedeltas(timedelta(days=-20_000), timedelta(days=2_000_000)).flatmap(
    lambda since: st.sampled_from([AT + since, (AT + since).astimezone(timezone.utc)])
)
ids = st.builds(FaceId, st.text("0123456789abcdef", min_size=8, max_size=8), st.integers(1, 2**62))
entries = st.builds(
    LedgerEntry,
    ids,
    st.text("abc/äß-", min_size=1),
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.sampled_from(["waiting", "stored", "refused", "expired", "erased"]),
    st.text(),
    times,
)
ledgers = st.builds(
    EdgeLedger,
    st.just("jetson"),
    st.dictionaries(st.sampled_from(["0badcafe", "00000000"]), st.integers(0, 2**62)),
    st.none() | times,
    st.lists(entries),
    st.dictionaries(
        st.sampled_from(["0badcafe", "00000000"]),
        st.lists(st.integers(0, 2**62), unique=True).map(
            lambda firsts: [(f"{first:016x}", first) for first in sorted(firsts)]
        ),
    ),
    st.dictionaries(
        st.sampled_from(["0badcafe", "00000000"]),
        st.lists(st.integers(0, 2**62), unique=True).map(
            lambda firsts: [(first, first, "damaged") for first in sorted(firsts)]
        ),
    ),
)


def written(ledger):
    file = io.BytesIO()
    write_ledger(ledger, file)
    return file.getvalue()


@given(ledgers)
def test_reads_back_a_written_ledger(ledger):
    back = read_ledger(io.BytesIO(written(ledger)), "file")
    assert (back.edge, back.outboxes, back.complete_since) == (ledger.edge, ledger.outboxes, ledger.complete_since)
    assert (back.openings, back.pruned, back.written_at) == (ledger.openings, ledger.pruned, ledger.written_at)
    assert list(back.entries) == ledger.entries


def test_the_first_line_is_the_edge_and_each_other_a_face():
    first, second = written(
        EdgeLedger(
            "jetson",
            {"0badcafe": 7},
            AT,
            [ENTRY],
            {"0badcafe": [("0123456789abcdef", 1)]},
            {"0badcafe": [(2, 4, "drop-oldest")]},
            written_at=AT,
        )
    ).splitlines()
    assert json.loads(first) == {
        "edge": "jetson",
        "outboxes": {"0badcafe": 7},
        "complete_since": "2026-11-22T17:30:00+00:00",
        "openings": {"0badcafe": [["0123456789abcdef", 1]]},
        "pruned": {"0badcafe": [[2, 4, "drop-oldest"]]},
        "written_at": "2026-11-22T17:30:00+00:00",
        "format": 1,
    }
    assert json.loads(second) == {
        "id": "0badcafe000000000000000000000001",
        "key": "jetson/door/x.jpg",
        "sha256": "ab" * 32,
        "state": "refused",
        "reason": "too-large",
        "captured_at": "2026-11-22T17:30:00+00:00",
    }


class Pipe(io.BytesIO):
    """Counts the lines and retains none."""

    lines = 0

    def write(self, data) -> int:
        self.lines += 1
        return len(data)


def test_both_ends_process_line_by_line():
    pipe, ahead = Pipe(), []

    def faces():
        for number in range(100):
            ahead.append(number + 1 - pipe.lines)
            yield ENTRY

    write_ledger(EdgeLedger("jetson", {}, None, faces()), pipe)
    assert ahead == [0] * 100

    good = written(EdgeLedger("jetson", {}, None, [ENTRY]))
    back = iter(read_ledger(io.BytesIO(good + b"bad\n"), "file").entries)
    assert next(back) == ENTRY


GOOD = json.loads(written(EdgeLedger("jetson", {}, None, [ENTRY])).splitlines()[1])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        *(
            json.dumps(GOOD | change).encode()
            for change in (
                {"id": "1"},
                {"id": 1},
                {"state": "lost"},
                {"sha256": "AB" * 32},
                {"key": ""},
                {"key": "a\nb"},
                {"key": None},
                {"captured_at": "2026-11-22T17:30:00"},
                {"captured_at": 5},
            )
        ),
        *(json.dumps({name: value for name, value in GOOD.items() if name != left}).encode() for left in GOOD),
    ],
)
def test_a_bad_line_is_named(line):
    header, face = written(EdgeLedger("jetson", {}, None, [ENTRY])).splitlines()
    ledger = read_ledger(io.BytesIO(b"\n".join([header, face, face, line, face])), "edge.ledger")
    with pytest.raises(LedgerError, match=r"^edge.ledger, line 4: not a face: ") as error:
        list(ledger.entries)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(
    "change",
    [
        {"edge": "a/b"},
        {"edge": None},
        {"outboxes": []},
        {"outboxes": {"0badcafe": -1}},
        {"outboxes": {"0badcafe": "7"}},
        {"outboxes": {"x": 7}},
        {"complete_since": "2026-11-22"},
        {"format": 2},
        {"pruned": []},
        {"pruned": {"0badcafe": [[2, 1, ""]]}},
        {"pruned": {"0badcafe": [[2, "3", ""]]}},
        {"pruned": {"0badcafe": [[1, 5, ""], [5, 9, ""]]}},
        {"openings": []},
        {"openings": {"x": []}},
        {"openings": {"0badcafe": [["0123", 1]]}},
        {"openings": {"0badcafe": [["0123456789abcdef", "1"]]}},
        {"openings": {"0badcafe": [["0123456789abcdef", 5], ["fedcba9876543210", 5]]}},
    ],
)
def test_a_bad_first_line_is_named(change):
    header = json.loads(written(EdgeLedger("jetson", {}, None, [])))
    assert read_ledger(io.BytesIO(json.dumps(header).encode()), "edge.ledger").edge == "jetson"
    with pytest.raises(LedgerError, match=r"^edge.ledger, line 1: "):
        read_ledger(io.BytesIO(json.dumps(header | change).encode()), "edge.ledger")


def test_reads_the_file_of_an_earlier_version():
    header = json.loads(written(EdgeLedger("jetson", {"0badcafe": 7}, None, [])))
    del header["openings"], header["pruned"]
    back = read_ledger(io.BytesIO(json.dumps(header).encode()), "edge.ledger")
    assert back.openings == back.pruned == {}


@given(st.binary())
def test_any_other_bytes_are_no_ledger(data):
    with pytest.raises(LedgerError):
        read_ledger(io.BytesIO(data), "file")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LedgerError, match="No such file"), open_ledgers([str(tmp_path / "none")]):
        pass


class Broken(io.BytesIO):
    """A disk or pipe that fails after the given lines."""

    def readline(self, size=-1):
        line = super().readline(size)
        if not line:
            raise OSError(errno.EIO, "Input/output error")
        return line

    __next__ = readline


@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_file_that_breaks_while_it_is_read(monkeypatch, lines):
    good = written(EdgeLedger("jetson", {}, None, [ENTRY])).splitlines(keepends=True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Broken(b"".join(good[:lines]))))
    with pytest.raises(LedgerError, match=r"^standard input: Input/output error$"), open_ledgers(["-"]) as ledgers:
        list(ledgers[0].entries)


def test_several_files_at_once(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(written(EdgeLedger(name, {}, None, [ENTRY])))
    with open_ledgers([str(tmp_path / "one"), str(tmp_path / "two")]) as ledgers:
        assert [(ledger.edge, list(ledger.entries)) for ledger in ledgers] == [("one", [ENTRY]), ("two", [ENTRY])]


def test_more_files_than_a_process_may_open(tmp_path):
    names = [str(tmp_path / f"{number}") for number in range(40)]
    for name in names:
        Path(name).write_bytes(written(EdgeLedger("jetson", {}, None, [ENTRY])))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(file.name) for file in Path("/proc/self/fd").iterdir()) + 10, hard)
    )
    try:
        with open_ledgers(names) as ledgers:
            assert all(list(ledger.entries) == [ENTRY] for ledger in ledgers)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    data = written(EdgeLedger("jetson", {}, None, [ENTRY]))
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[data])
    writer.start()
    with open_ledgers([str(tmp_path / "pipe")]) as ledgers:
        assert list(ledgers[0].entries) == [ENTRY]
    writer.join()


def test_the_time_of_the_receipt_survives():
    settled = replace(ENTRY, settled_at=datetime(2026, 11, 23, 1, tzinfo=timezone.utc))
    file = io.BytesIO(written(EdgeLedger("jetson", {}, None, [ENTRY, settled])))
    assert list(read_ledger(file, "edge.ledger").entries) == [ENTRY, settled]
