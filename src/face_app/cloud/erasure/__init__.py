"""Implement erasure on request: tombstone, record, then every version and copy."""
