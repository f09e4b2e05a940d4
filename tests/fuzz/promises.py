"""What holds for every message, whatever it says."""

import hashlib
from datetime import datetime, timezone

from face_app.cloud.stores.store import safe_parts
from face_app.cloud.subscriber.validate import Decision, Limits, validate
from face_app.common.wire import SEED_TOPIC, face_of_key

AT = datetime(2026, 11, 22, 23, 59, 59, tzinfo=timezone.utc)
LIMITS = Limits(bytes=20_000_000, pixels=50_000_000)


def judged(topic: str, payload: bytes, limits: Limits = LIMITS) -> Decision:
    """Judge a message twice, and see that nothing was promised that the verdict does not keep."""
    sha256 = hashlib.sha256(payload).hexdigest()
    verdict = validate(topic, payload, sha256, AT, limits)
    assert verdict == validate(topic, payload, sha256, AT, limits)
    assert safe_parts(verdict.key)
    assert len(verdict.key) < 1000
    if verdict.refused:
        assert verdict.key == f"quarantine/{verdict.refused}/{sha256}.bin"
        assert verdict.detail.isprintable()
        assert len(verdict.detail) < 400
    elif topic == SEED_TOPIC:
        assert verdict.key.startswith("test/seed/2026/11/22/23/face-")
    else:
        assert face_of_key(verdict.key) == verdict.face
        assert verdict.face is not None
        assert topic == "/".join(("face_app", *verdict.key.split("/")[:2]))
    return verdict
