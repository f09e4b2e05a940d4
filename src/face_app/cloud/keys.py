"""Keys of what is not a face of ours; `wire.object_key` names the faces."""

from datetime import datetime, timezone


def quarantine_key(reason: str, sha256: str) -> str:
    """Where the copy of a refused message is kept: the same message, the same key."""
    return f"quarantine/{reason}/{sha256}.bin"


def bare_image_key(at: datetime, sha256: str, suffix: str) -> str:
    """Where a bare image of the write-up's topic is kept, by the hour (UTC) of its arrival."""
    hour = at.astimezone(timezone.utc).strftime("%Y/%m/%d/%H")
    return f"test/seed/{hour}/face-{sha256[:12]}.{suffix}"
