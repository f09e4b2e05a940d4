"""Store faces on disk until a receipt allows their pixels to be deleted."""
