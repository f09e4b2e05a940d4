"""Create the bucket, set its access and expiry, list and verify its objects."""
