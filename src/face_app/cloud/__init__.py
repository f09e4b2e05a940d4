"""Move faces from the broker to the bucket, and publish receipts."""
