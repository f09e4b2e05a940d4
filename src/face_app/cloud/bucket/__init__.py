"""The bucket: creation, access, expiry, listing."""
