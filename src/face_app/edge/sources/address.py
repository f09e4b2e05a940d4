"""Format the address of a source for logs and errors without its secrets, and find these secrets."""

import re
from urllib.parse import unquote

from face_app.common.log import MASK, hide_secrets, mask

HOST = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d*)?")
"""Host and port. Text that does not match may be part of a password."""
PLAIN = re.compile(r"[\w.-]*")
"""A part of a path without keys, separators or escapes."""
TOKEN = re.compile(r"(?<![^\W_])(?=[^\W\d_]*\d)[^\W_]{16,}")
"""A long word with digits: some cameras have no password but a random path. No common name of a stream is as long."""
PASSWORD_KEY = r"(?:pass|pwd|psw|token|secret|auth|key|sig|cred)"  # noqa: S105 - the name of a key
"""Part of the name of a query parameter, a property or a folder that precedes a secret."""
CREDENTIAL_KEY = re.compile(f"{PASSWORD_KEY}|user|usr|admin|login", re.IGNORECASE)
"""The same, with the keys that precede a user: a password often follows the user."""
ASSIGNMENT = re.compile(rf"(?i)\b[\w-]*?{PASSWORD_KEY}[\w-]*?[=/]\"?((.*?)(?=[_&;,/?#\"\s]|$)[^&;/?#\"\s]*)")
"""A secret after its key. Some cameras separate pairs by an underscore, so both lengths of the value are found."""
PUBLISHED_PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Schemes of pictures that are published by MQTT, and their default ports."""
URL = re.compile(r"[\w+.-]+://\S+")


def is_published(source: str | None) -> bool:
    """Return True if `camera.source` names pictures that are published by MQTT."""
    scheme, separator, _ = (source or "").partition("://")
    return bool(separator) and scheme.lower() in PUBLISHED_PORTS


def printable_address(address: str) -> str:
    """Return scheme, host and the harmless beginning of the path; user, password and query are excluded.

    A secret may stand anywhere in a path. So the path ends before the first part that follows a key such as
    ``password``, is no plain word, or resembles a random token.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return re.sub(rf"(?i)({CREDENTIAL_KEY.pattern})([\w-]*=).*", rf"\1\2{MASK}", re.sub(r"//?\S*@", "//", address))
    host, path = _split(rest)
    if not HOST.fullmatch(host):
        return f"{scheme}://{MASK}"
    shown = [f"{scheme}://{host}"]
    for part in re.split(r"[?#;]", path)[0].split("/")[1:]:
        if not PLAIN.fullmatch(part) or TOKEN.search(part) or (len(shown) > 1 and CREDENTIAL_KEY.search(shown[-1])):
            return "/".join([*shown, MASK])
        shown.append(part)
    return "/".join(shown)


def _split(rest: str) -> tuple[str, str]:
    """Split an address after its scheme into host and path; two empty strings if it is ambiguous.

    A password may contain an unescaped ``/`` or ``?``; a path may contain an ``@``.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    if "@" not in path or ("@" not in authority and ":" not in authority):
        return authority.rpartition("@")[2], path
    if rest.count("@") == 1 and not HOST.fullmatch(authority):
        return _split(rest.partition("@")[2])
    return "", ""


def hide_secrets_of(address: str) -> None:
    """Register the secrets of an address or a pipeline: logs mask them wherever they occur."""
    values = {match.group(group) for match in ASSIGNMENT.finditer(address) for group in (1, 2)}
    values |= set(TOKEN.findall(address))
    for url in URL.findall(address):
        rest = url.partition("://")[2]
        if printable_address(url) != url:
            values.add(url)
        login = rest.rpartition("@")[0]
        values |= {login, login.partition(":")[2]}
    hide_secrets(values | {unquote(value) for value in values})


def mask_secrets(text: str) -> str:
    """Return a message of a library without the secrets of its URLs and without registered secrets."""
    return mask(URL.sub(lambda match: printable_address(match.group()), text))
