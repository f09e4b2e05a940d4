"""Name the cause of a failed S3 request, and the setting or service to change.

Codes are those of the S3 API reference, section "Error responses".
"""

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from face_app.common.settings import Store

CLOCK_SECONDS = 300
"""Difference of two clocks that is named as the cause of a refusal. Stores accept 900 s; some accept less."""
DATE_SECONDS = 30
"""Difference of two clocks that is quoted. The date of an answer has whole seconds, and the answer may take ten more to
arrive, so a smaller one may be no difference of the clocks."""
MAX_CAUSE = 200
"""Maximum characters that a message quotes from a store."""

_CLOCK = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureDate"}
_KEY = {
    *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"),
    *("AccountProblem", "AllAccessDisabled", "Forbidden", "Unauthorized"),
}
_RIGHT = {"AccessDenied", "AllAccessDisabled", "Forbidden", "Unauthorized", "UnauthorizedAccess"}
_REGION = {
    *("AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidLocationConstraint"),
    "InvalidRegionName",
}
_SIZE = {"EntityTooLarge", "MaxMessageLengthExceeded", "RequestEntityTooLarge"}
_SPACE = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XAmzServiceQuotaExceeded"}
_REDIRECTS = {301, 302, 303, 307, 308}
_SILENCE: dict[type[BaseException], str] = {
    ProxyConnectionError: "the proxy fails; check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    socket.gaierror: "its host name is not found; check store.endpoint and the DNS servers",
    ConnectTimeoutError: "no connection in time; check store.endpoint and firewalls",
    ReadTimeoutError: "it is connected, but too slow; check its load and its log",
}
_TLS_ADVICE = "if its port expects TLS, let store.endpoint begin with https://"
_EXPIRED = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def cause_of_answer(error: ClientError, store: Store) -> str:
    """Return what a store answered, as the predicate of a sentence about it."""
    code, status = error_code(error), error_status(error)
    message = _one_line(error.response["Error"].get("Message", ""))
    skew = _skew(error)
    if code in _CLOCK or (status in {400, 401, 403} and abs(skew) > CLOCK_SECONDS):
        clock = (
            f"its clock differs by {skew:+.0f} s from this machine's"
            if abs(skew) > DATE_SECONDS
            else "two clocks differ"
        )
        return f"refuses the time of a request ({code}): {clock}; set the clocks of both by NTP"
    if status in _REDIRECTS:
        to = _header(error, "x-amz-bucket-region") or _header(error, "location") or message
        return f"redirects to {to[:MAX_CAUSE]} ({code}); change store.endpoint or store.region"
    if code in _KEY or status in {401, 403}:
        return f"refuses the key in {store.credentials_file} ({code})"
    if code in _SIZE or status == 413:
        return f"refuses the size of an object ({code}); raise the limit of the store or its proxy, or lower max_bytes"
    if code in _SPACE or status == 507:
        return f"has no space left ({code}); free space, or raise its quota"
    known = {
        "NoSuchBucket": "does not exist; `face-app bucket ensure` creates it, or change store.bucket",
        "BucketAlreadyExists": "belongs to another account; change store.bucket",
        "InvalidBucketName": "has a name that the store refuses; change store.bucket",
        **dict.fromkeys(_REGION, f"is in another region than store.region {store.region}; change it: {message}"),
    }
    # Without an S3 document, boto3 takes the status as the code. So a port with TLS answers a request in clear text.
    bare = code == str(status)
    advice = _TLS_ADVICE if bare and status == 400 and _clear_text(store) else "check store.endpoint, and its log"
    return known.get(code) or f"answers {status} {message if bare else f'{code}: {message}'}; {advice}"


def cause_of_silence(error: BotoCoreError | ResponseParserError, store: Store) -> str:
    """Return why a store gave no answer, as the predicate of a sentence about it."""
    if isinstance(error, ResponseParserError):
        return f"does not answer like S3: {_one_line(error)}; set store.endpoint to the S3 address"
    causes = list(_chain(error))
    known = [cause for kind, cause in _SILENCE.items() if any(isinstance(each, kind) for each in causes)]
    system = [each.strerror for each in causes if isinstance(each, OSError) and each.strerror]
    if isinstance(error, SSLError):
        cause = _tls(causes[-1], store)
    elif known:
        cause = known[0]
    elif isinstance(error, ConnectionClosedError):
        cause = f"it closes the connection; {_TLS_ADVICE if _clear_text(store) else 'check its log'}"
    elif system:
        cause = f"{system[-1]}; check host and port of store.endpoint, and start the store"
    else:
        cause = f"{type(causes[-1]).__name__}, {_one_line(causes[-1])}; check store.endpoint and the store"
    return f"does not answer: {cause}"


def _tls(error: BaseException, store: Store) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = f"its certificate is refused, {error.verify_message.rstrip('.')}"
        if error.verify_code in _EXPIRED:
            return f"{cause}; renew it, or set this machine's clock"
        if store.ca_file:
            return f"{cause}; store.ca_file {store.ca_file} does not contain its CA"
        return f"{cause}; set store.ca_file to the certificate of its CA"
    if not isinstance(error, ssl.SSLError):  # urllib3 compares the names itself
        return f"its certificate is refused, {_one_line(error)}; set store.endpoint to a name in the certificate"
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
        return "its port has no TLS; let store.endpoint begin with http://, or change the port"
    return f"TLS fails, {error.reason or _one_line(error)}; check store.endpoint and the TLS versions of the store"


def refuses_right(error: ClientError) -> bool:
    """Return True if the store knows the key and denies it this request; not for a wrong key, or a wrong clock."""
    bare = error_code(error) == str(error_status(error))
    return (
        error_status(error) in {401, 403}
        and (bare or error_code(error) in _RIGHT)
        and abs(_skew(error)) <= CLOCK_SECONDS
    )


def error_code(error: ClientError) -> str:
    """Return the S3 code of an error, such as ``NoSuchBucket``."""
    return str(error.response["Error"].get("Code", ""))


def error_status(error: ClientError) -> int:
    """Return the HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _header(error: ClientError, name: str) -> str:
    return str(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name, ""))


def _skew(error: ClientError) -> float:
    """Return the seconds by which the clock of the store is ahead of this machine's; 0 if it is unknown."""
    try:
        there = parsedate_to_datetime(_header(error, "date"))
        return (there - datetime.now(timezone.utc)).total_seconds()
    except (TypeError, ValueError, OverflowError):  # no date, or one without a time zone
        return 0.0


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes. botocore and urllib3 carry them in attributes."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = (
            getattr(current, "kwargs", {}).get("error"),
            getattr(current, "reason", None),
            current.__cause__,
            current.__context__,
        )
        current = next((each for each in inner if isinstance(each, BaseException)), None)


def _clear_text(store: Store) -> bool:
    return (store.endpoint or "").startswith("http:")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:MAX_CAUSE]
