"""Move faces from a camera into the outbox, and from the outbox to the broker."""
