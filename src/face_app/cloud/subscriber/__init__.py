"""Implement `face-app subscribe`: turn messages into objects and receipts."""
