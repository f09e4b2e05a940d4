"""Implement `face-app audit`: compare ledgers with the bucket, face by face."""
