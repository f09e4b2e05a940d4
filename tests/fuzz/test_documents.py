"""Receipts, settings and ledgers: read, or refused in one line."""

import io
import json
import os
from datetime import datetime, timezone
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from face_app.common.errors import LedgerError, MessageError, SettingsError
from face_app.common.ledger_file import EdgeLedger, LedgerEntry, read_ledger, write_ledger
from face_app.common.settings import CloudSettings, EdgeSettings, HealthSettings, OutboxFile, load
from face_app.common.wire import FaceId, Receipt, dump_receipts, face_of_key, load_receipts
from face_app.edge.outbox.outbox import Outbox
from fuzz.mutate import mutated

SHARED_OUTBOX = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
AT = datetime(2026, 11, 22, 18, 30, tzinfo=timezone.utc)
FACE = FaceId("0badcafe", 1)
RECEIPT = Receipt(FACE, "ab" * 32, "jetson/door/x.jpg", AT, "stored")

seeds = st.integers(0, 2**32)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just("\ud800")
    | st.just("\x00"),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=9), each, max_size=4),
    max_leaves=6,
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """`load` leaves the file's name there."""
    monkeypatch.setenv("FACE_APP_CONFIG", "")


def changed(document, changes, gone=()):
    return {name: value for name, value in {**document, **changes}.items() if name not in gone}


@pytest.fixture(scope="module")
def outbox(tmp_path_factory):
    with Outbox(OutboxFile(path=tmp_path_factory.mktemp("outbox") / "outbox.db")) as opened:
        yield opened


def apply(payload, outbox):
    """Read receipts and apply them, as the sender does: no readable receipt may stop it."""
    try:
        receipts = load_receipts(payload)
    except MessageError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 300
        return
    assert outbox.apply_receipts(receipts) == []
    for receipt in receipts:
        receipt.reason.encode()


@SHARED_OUTBOX
@given(seeds)
def test_mutated_receipts(outbox, seed):
    random = Random(seed)
    good = dump_receipts([RECEIPT] * random.randint(1, 3))
    apply(mutated(good, good, random), outbox)


@SHARED_OUTBOX
@given(st.dictionaries(st.sampled_from(sorted(RECEIPT.document())), values, max_size=3), st.booleans())
def test_receipts_of_any_kind(outbox, changes, many):
    document = changed(RECEIPT.document(), changes)
    apply(json.dumps([document] if many else document).encode(), outbox)


@pytest.mark.parametrize("payload", [b"[" * 10**6, b'{"a":' * 10**5, b"9" * 10**5, b"\xff\xfe[\x00", b"1e999", b"null"])
def test_malicious_receipts(outbox, payload):
    apply(payload, outbox)


# With SQLite such a word was an error at each round, so that one receipt stopped the sender for good.
@pytest.mark.parametrize("reason", ["\ud800", "\x00", "two words", "x" * 64, 7, None, "UPPER"])
def test_a_reason_is_one_word(reason):
    document = {**RECEIPT.document(), "result": "refused", "reason": reason}
    with pytest.raises(MessageError, match="bad-receipt"):
        load_receipts(json.dumps(document).encode())


def test_a_key_in_other_digits_is_no_face():
    assert face_of_key("jetson/door/2026/11/22/18/face-0badcafe-000000001-abababababab.jpg") == FACE
    assert face_of_key("jetson/door/2026/11/22/18/face-0badcafe-00000000\u0661-abababababab.jpg") is None
    assert face_of_key(f"jetson/door/2026/11/22/18/face-0badcafe-{'9' * 5000}-abababababab.jpg") is None


def one_line(model, file):
    try:
        load(model, file, {})
    except SettingsError as error:
        assert "\n" not in str(error)


TOML = b'edge = "jetson"\n[broker]\nhost = "h"\nport = 1\n[outbox]\npath = "/x"\n[store]\nkind = "s3"\n'
MODELS = st.sampled_from([EdgeSettings, CloudSettings, HealthSettings])


@SHARED_OUTBOX
@given(MODELS, seeds)
def test_mutated_settings(tmp_path, model, seed):
    file = tmp_path / "face-app.toml"
    file.write_bytes(mutated(TOML, TOML, Random(seed)))
    one_line(model, file)


@pytest.mark.parametrize("model", [EdgeSettings, CloudSettings, HealthSettings])
@pytest.mark.parametrize(
    "toml",
    [
        b"edge = " + b"[" * 100_000,
        b"edge = " + b"9" * 5000,
        b'edge = "\\ud800"',
        b'"a\\nb" = 1',
        b'[broker]\n"\\u0000" = 1',
        b'[outbox]\npath = "\\u0000"',
        b"edge = 1979-05-27",
        b"[broker]\nport = nan",
        b"[sender]\nresend_after = inf",
        b"\xef\xbb\xbfedge = 1",
        b"\xff",
    ],
)
def test_malicious_settings(tmp_path, model, toml):
    file = tmp_path / "face-app.toml"
    file.write_bytes(toml)
    one_line(model, file)


NAMES = st.sampled_from(["EDGE", "BROKER", "BROKER__PORT", "STORE", "STORE__PATH", "LOG", "METRICS", "CAMERA__NAME"])
TEXTS = st.text(max_size=30).filter(lambda text: "\x00" not in text) | st.sampled_from(
    ["{", "[" * 50_000, '{"a":' * 20_000, "\udcff", "{}", '{"host": null}', "9" * 5000, "1e999", '{"port": NaN}']
)


@SHARED_OUTBOX
@given(MODELS, st.dictionaries(NAMES, TEXTS.filter(lambda text: text.isascii() or "\ud800" not in text), max_size=3))
def test_settings_from_the_environment(model, variables):
    before = dict(os.environ)
    try:
        os.environ.pop("FACE_APP_CONFIG", None)
        try:
            os.environ.update({f"FACE_APP_{name}": value for name, value in variables.items()})
        except UnicodeEncodeError:
            return
        one_line(model, None)
    finally:
        os.environ.clear()
        os.environ.update(before)


def ledger():
    file = io.BytesIO()
    entry = LedgerEntry(FACE, "jetson/door/x.jpg", "ab" * 32, "refused", "too-large", AT)
    write_ledger(EdgeLedger("jetson", {"0badcafe": 3}, AT, [entry] * 3), file)
    return file.getvalue()


def read_through(payload):
    try:
        read = read_ledger(io.BytesIO(payload), "some.ledger")
        for entry in read.entries:
            entry.captured_at.astimezone(timezone.utc)
    except LedgerError as error:
        assert str(error).isprintable()
        assert "some.ledger, line " in str(error)


@SHARED_OUTBOX
@given(seeds)
def test_mutated_ledgers(seed):
    read_through(mutated(ledger(), ledger(), Random(seed)))


@SHARED_OUTBOX
@given(st.integers(0, 1), st.dictionaries(st.text(max_size=9), values, max_size=3), st.randoms())
def test_ledgers_of_any_kind(line, changes, random):
    lines = ledger().splitlines()
    document = json.loads(lines[line])
    known = sorted(document)
    lines[line] = json.dumps({**document, **{random.choice(known): value for value in changes.values()}}).encode()
    read_through(b"\n".join(lines))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_has_no_utc_is_no_time(at):
    read_through(ledger().replace(b"2026-11-22T18:30:00+00:00", at.encode()))
    document = {**RECEIPT.document(), "at": at}
    with pytest.raises(MessageError):
        load_receipts(json.dumps(document).encode())


@pytest.mark.parametrize(
    "line", [b"[" * 10**6, b"9" * 10**5, b"{}", b"\xff", b"", b'{"edge":"a","outboxes":[],"format":1}']
)
def test_malicious_ledgers(line):
    read_through(line)
    read_through(ledger().splitlines()[0] + b"\n" + line)
