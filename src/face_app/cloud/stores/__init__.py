"""Where faces are kept: one file a kind of store."""
