"""The outbox: faces wait on disk until a receipt deletes their pixels."""
