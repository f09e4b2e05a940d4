"""Sends pending faces and applies their receipts."""
