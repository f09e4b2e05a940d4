"""`face-app subscribe`: messages in, objects and receipts out."""
