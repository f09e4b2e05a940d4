"""The cloud: from the broker to the bucket, and the receipt back."""
