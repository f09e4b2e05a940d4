"""Name the cause of a failed connection to a broker, and the setting or service to change.

Each text is the end of a sentence about the broker. The causes of a store are in `cloud/stores/s3_causes.py`.
"""

import errno
import socket
import ssl

from paho.mqtt.reasoncodes import ReasonCode

from face_app.common.settings import Broker

MAX_CAUSE = 200
"""Maximum characters that a message quotes from a library."""
NO_TLS = "its port has no TLS; set broker.port to its port with TLS, usually 8883, or remove broker.ca_file"
EXPECTS_TLS = "its port expects TLS; set broker.ca_file to the CA certificate of the broker"
NO_MQTT_5 = "it has no MQTT 5; use Mosquitto 1.6 or later, or set broker.host to another broker"
SILENT = "it accepts the connection and does not answer; check that broker.port is a port of an MQTT broker"
CLOSES = "it closes the connection without an answer; check that broker.port is a port of an MQTT broker, and its log"

_UNSUPPORTED_VERSION = 0x84
_UNSPECIFIED = 0x80
_CLIENT_ID = 0x85
_CREDENTIALS = {0x86, 0x87, 0x8C}
_LOSSES = {
    0x87: "its ACL denies a message; correct the ACL",
    0x8E: "another program has the same client id: stop one of two with one outbox, or with one broker.key_file",
    0x93: "it was sent more messages than its receive maximum",
    0x95: "a message was larger than it accepts; raise its limit of the message size",
    0x97: "a quota of the broker is used up; check its limits",
}
_NETWORK = {
    errno.ECONNREFUSED: "nothing listens there; check broker.host and broker.port, and start the broker",
    errno.EHOSTUNREACH: "no host answers there; check broker.host and the network",
    errno.ENETUNREACH: "no network leads there; check the network of this machine",
    errno.EACCES: "this machine forbids the connection; check its firewall",
    errno.EPERM: "this machine forbids the connection; check its firewall",
}
# Codes of OpenSSL's X509_verify_cert_error_string(3).
_EXPIRED = {9, 10}
_NO_ISSUER = {2, 18, 19, 20, 21}
_OTHER_NAME = {62, 64}


def cause_of_error(error: BaseException, broker: Broker) -> str | None:  # noqa: PLR0911 - one for each kind of error
    """Return why an attempt to connect failed; None if only a probe can find out.

    Args:
        error: Error of the connect, of the TLS handshake or of the first read.
        broker: Address and identity.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_of_broker(error, broker)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _tls(error.reason or str(error), broker)
    if isinstance(error, socket.gaierror):
        return f"its name is not found ({error.strerror}); check broker.host and the DNS servers"
    if isinstance(error, TimeoutError):
        handshake = "handshake" in str(error)
        return None if handshake else "no answer in time; check broker.host, broker.port and firewalls"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError | ssl.SSLError):
        return None
    if isinstance(error, OSError):
        advice = "check broker.host, broker.port and the network"
        return _NETWORK.get(error.errno or 0) or f"{_one_line(error.strerror or error)}; {advice}"
    return f"{type(error).__name__}, {_one_line(error)}; check broker.host and broker.port"


def cause_of_refusal(reason: ReasonCode, broker: Broker) -> str:
    """Return why a broker refuses a client, from its answer to the CONNECT."""
    if reason.value == _UNSUPPORTED_VERSION:
        return f"{reason}; {NO_MQTT_5}"
    if reason.value in _CREDENTIALS and broker.username:
        return f"{reason}; check broker.username and broker.password_file"
    if reason.value in _CREDENTIALS and broker.cert_file:
        return f"{reason}; check the name in broker.cert_file, and the broker's list of users"
    if reason.value in _CREDENTIALS:
        return f"{reason}; set broker.username and broker.password_file, or broker.cert_file"
    if reason.value == _CLIENT_ID:
        return f"{reason}; check the broker's rules for client ids"
    return f"{reason}; the broker's log has the cause"


def cause_of_loss(reason: ReasonCode, error: BaseException | None) -> str:
    """Return why an open connection ended."""
    if reason.value in _LOSSES:
        return f"{reason}; {_LOSSES[reason.value]}"
    if reason.getName() == "Keep alive timeout":
        return f"{reason}; check the network"
    if error is not None:
        return f"{_one_line(error)}; check the network and the broker"
    unknown = reason.value == _UNSPECIFIED
    return f"{'the broker or the network ended it' if unknown else reason}; the log of the broker has the cause"


def _certificate_of_broker(error: ssl.SSLCertVerificationError, broker: Broker) -> str:
    cause = f"its certificate is refused, {error.verify_message.rstrip('.')}"
    if error.verify_code in _EXPIRED:
        return f"{cause}; renew it, or set the clock of this machine"
    if error.verify_code in _NO_ISSUER:
        return f"{cause}; broker.ca_file {broker.ca_file} does not contain its CA"
    if error.verify_code in _OTHER_NAME:
        return f"{cause}; set broker.host to a name in the certificate"
    return f"{cause}; renew the certificate of the broker"


def _tls(reason: str, broker: Broker) -> str:
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
        return NO_TLS
    own = f"broker.cert_file {broker.cert_file}"
    if "CERTIFICATE_REVOKED" in reason:
        return f"it refuses {own} as revoked; issue a new certificate"
    if "ALERT_CERTIFICATE_EXPIRED" in reason:
        return f"it refuses {own} as expired; renew it or the revocation list, and check the clocks of both"
    if "CERTIFICATE_REQUIRED" in reason or ("HANDSHAKE_FAILURE" in reason and not broker.cert_file):
        return "it requires a client certificate; set broker.cert_file and broker.key_file"
    refused = ("BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "DECRYPT_ERROR")
    if broker.cert_file and any(each in reason for each in (*refused, "ACCESS_DENIED")):
        return f"it refuses {own} ({reason}); use a certificate of its CA, issued for a client"
    return f"TLS fails, {_one_line(reason)}; check broker.port, and the TLS versions of the broker"


def _one_line(value: object) -> str:
    return " ".join(str(value).split())[:MAX_CAUSE]
