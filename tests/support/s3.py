"""An S3 client that does not use the store's code."""

import boto3
from mypy_boto3_s3 import S3Client

from support.seaweedfs import ACCESS_KEY, SECRET_KEY


def client(endpoint: str) -> S3Client:
    """A plain client with the test servers' key."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )
