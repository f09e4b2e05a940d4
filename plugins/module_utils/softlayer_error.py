"""What can go wrong with a VM at SoftLayer."""

from __future__ import annotations


class VmError(Exception):
    """It cannot be done; the one line says what to change."""
