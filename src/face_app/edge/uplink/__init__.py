"""The uplink: sends waiting faces and applies receipts."""
