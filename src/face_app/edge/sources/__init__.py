"""Read frames: one module per kind of source."""
