"""Send pending faces and applies their receipts."""
