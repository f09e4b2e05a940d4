"""Contains the edge: from a camera to the outbox, and from the outbox to the broker."""
