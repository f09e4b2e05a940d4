"""Whether any face was lost: ledgers and bucket, held against each other, by `audit.py` and the parts beside it."""
