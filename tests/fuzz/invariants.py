"""Invariants of the validation of any message."""

import hashlib
from datetime import datetime, timezone

from face_app.cloud.stores.store import safe_parts
from face_app.cloud.subscriber.validate import Decision, Limits, validate
from face_app.common.wire import SEED_TOPIC, face_of_key

AT = datetime(2026, 11, 22, 23, 59, 59, tzinfo=timezone.utc)
LIMITS = Limits(bytes=20_000_000, pixels=16_000_000)


def validated(topic: str, payload: bytes, limits: Limits = LIMITS) -> Decision:
    """Validate a message twice and assert the invariants of the decision."""
    sha256 = hashlib.sha256(payload).hexdigest()
    decision = validate(topic, payload, sha256, AT, limits)
    assert decision == validate(topic, payload, sha256, AT, limits)
    assert safe_parts(decision.key)
    assert len(decision.key) < 1000
    if decision.refused:
        assert decision.key == f"quarantine/{decision.edge or '-'}/{decision.refused}/{sha256}.bin"
        assert decision.detail.isprintable()
        assert len(decision.detail) < 400
    elif topic == SEED_TOPIC:
        assert decision.key.startswith("test/seed/2026/11/22/23/face-")
    else:
        assert face_of_key(decision.key) == decision.face
        assert decision.face is not None
        assert topic == "/".join(("face_app", *decision.key.split("/")[:2]))
    return decision
