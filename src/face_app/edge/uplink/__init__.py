"""Send pending faces, and apply their receipts."""
