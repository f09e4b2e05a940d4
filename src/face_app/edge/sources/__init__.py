"""Read frames: one file per kind of source."""
