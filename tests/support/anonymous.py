"""Requests to an S3 server without a key."""

import urllib.error
import urllib.request


def request_without_key(method: str, address: str) -> int:
    """Send a request without a key and return the status of the response."""
    body = b"not a face" if method == "PUT" else None
    request = urllib.request.Request(address, data=body, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
