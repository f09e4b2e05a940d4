"""Turn frames into shots and visits: the vision pipeline."""
