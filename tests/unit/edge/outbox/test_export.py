"""The ledger says when the cloud confirmed a face: the audit compares it with the bucket's expiry rule."""

from datetime import datetime, timedelta, timezone

from face_app.common.settings import OutboxFile
from face_app.common.wire import Receipt
from face_app.edge.outbox.export import export_ledger
from face_app.edge.outbox.outbox import Outbox
from support.new_faces import new_face


def test_the_ledger_has_the_time_of_each_receipt(tmp_path):
    with Outbox(OutboxFile(path=tmp_path / "outbox.db")) as outbox:
        stored, _ = outbox.append([new_face(), new_face()])
        now = datetime.now(timezone.utc)
        outbox.apply_receipts([Receipt(stored.id, stored.sha256, stored.key, now, "stored")])
        with export_ledger(outbox, "jetson") as ledger:
            first, second = ledger.entries
    assert abs(first.settled_at - now) < timedelta(minutes=5)
    assert second.settled_at is None
