"""Somebody without a key before an S3 server."""

import urllib.error
import urllib.request


def anybody(method: str, address: str) -> int:
    """Ask without a key; the status of the answer."""
    body = b"not a face" if method == "PUT" else None
    request = urllib.request.Request(address, data=body, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
