"""A round selects the faces that a published message helps most."""

import pytest

from face_app.common.settings import OutboxFile, Sender
from face_app.edge.outbox.outbox import Outbox
from face_app.edge.uplink.selection import BATCH, Batch, Selection
from face_app.edge.uplink.send_window import Lane, SendWindow
from face_app.edge.uplink.suspects import Suspects
from support.new_faces import new_face

LIVE, BACKLOG = Lane.LIVE, Lane.BACKLOG


@pytest.fixture
def outbox(path):
    with Outbox(OutboxFile(path=path)) as opened:
        opened.append([new_face() for _ in range(40)])
        yield opened


@pytest.fixture
def window():
    return SendWindow(Sender(window=8, resend_after=5, resend_cap=60))


@pytest.fixture
def suspects():
    return Suspects()


@pytest.fixture
def selection(outbox, window, suspects):
    return Selection(outbox, window, suspects)


def published(selection, window, up_since=0.0):
    """Run a round in which the connection takes everything; return its batches that are not empty."""
    batches = []
    for batch in selection.batches(up_since):
        for row in batch.rows:
            window.record_sent(row, row, 0.0, batch.lane)
        batches += [batch] if batch.rows else []
    return batches


def test_both_ends_share_the_window_and_each_is_sent_oldest_first(selection, window):
    assert published(selection, window) == [Batch([37, 38, 39, 40], LIVE), Batch([1, 2, 3, 4], BACKLOG)]
    assert published(selection, window) == []


def test_a_face_is_in_one_batch_only(path, window, suspects):
    with Outbox(OutboxFile(path=path)) as few:
        few.append([new_face() for _ in range(3)])
        assert published(Selection(few, window, suspects), window) == [Batch([1, 2, 3], LIVE)]


def test_a_batch_is_selected_after_the_earlier_ones_were_published(selection, window, outbox):
    """If all faces in flight are without a receipt for long, one probes, not one of each lane."""
    for row in range(1, 9):
        for _ in range(4):
            window.record_sent(row, row, 0.0, LIVE if row > 4 else BACKLOG)
    assert published(selection, window) == [Batch([40], LIVE)]


def test_lost_faces_come_first_and_overdue_ones_last(selection, window):
    published(selection, window)
    for row in (1, 2, 40):
        window.record_acknowledgement(row)
    window.record_receipt(2, 0.0, 0.0)
    window.record_connection_lost()
    assert published(selection, window) == [
        Batch([3, 4, 37, 38, 39], BACKLOG),
        Batch([2], BACKLOG),
        Batch([1, 40], BACKLOG, overdue=True),
    ]


def test_one_face_probes_while_the_uplink_is_down(selection, window):
    published(selection, window)
    for row in (*range(1, 5), *range(37, 41)):
        window.record_acknowledgement(row)
    assert published(selection, window, None) == [Batch([37], BACKLOG, overdue=True)]


def test_a_suspect_goes_alone_and_the_others_wait(selection, window, suspects):
    suspects.connection_lost({7: 100, 9: 50}, 0.0)
    assert published(selection, window) == [Batch([9], BACKLOG, alone=True)]


def test_faces_larger_than_the_limit_are_left_out(selection, window):
    selection.larger |= {1, 40}
    assert published(selection, window) == [Batch([36, 37, 38, 39], LIVE), Batch([2, 3, 4, 5], BACKLOG)]


def test_a_batch_is_limited(outbox, suspects):
    window = SendWindow(Sender(window=10_000))
    window._limit._set(10_000)
    outbox.append([new_face() for _ in range(3 * BATCH)])
    assert [len(batch.rows) for batch in published(Selection(outbox, window, suspects), window)] == [BATCH, BATCH]
