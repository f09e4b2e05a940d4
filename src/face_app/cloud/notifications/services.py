"""Read the file of Apprise URLs, without a line of it in any message."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from face_app.cloud.notifications import service_log
from face_app.common.errors import SettingsError

READ_SECONDS = 20.0
"""Seconds that a service may take to answer, unless its URL sets ``rto``: Apprise's 4 s are short for a picture, and a
message without an answer is not repeated."""
MOST_SERVICES = 20
"""Maximum number of services: each has a thread."""


@dataclass(frozen=True)
class Service:
    """Is one line of the file.

    Attributes:
        id: Digest of its URL.
        label: What messages call it, such as ``service 2 (json)``.
        plugin: Apprise's object, which sends.
        secrets: Parts of the URL that no text may contain.
    """

    id: str
    label: str
    plugin: Any
    secrets: tuple[str, ...]

    @property
    def takes_pictures(self) -> bool:
        """Return True if the service accepts attachments."""
        return bool(self.plugin.attachment_support)


def read_services(file: Path) -> list[Service]:
    """Read the URLs of a file: one per line; empty lines and lines after ``#`` are ignored.

    Raises:
        SettingsError: The file cannot be read, or has no URL, or one that Apprise cannot use.
    """
    try:
        lines = file.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"notifications.urls_file {file}: {cause}") from error
    found = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    urls = [(number, line) for number, line in found if line and not line.startswith("#")]
    if not urls:
        raise SettingsError(f"notifications.urls_file {file}: no URL; write one per line, or unset it")
    if len(urls) > MOST_SERVICES:
        raise SettingsError(f"notifications.urls_file {file}: {len(urls)} URLs; write at most {MOST_SERVICES}")
    if len({url for _, url in urls}) < len(urls):
        raise SettingsError(f"notifications.urls_file {file}: a URL is repeated; remove one of its lines")
    return [_service(file, line, position, url) for position, (line, url) in enumerate(urls, 1)]


def _service(file: Path, line: int, position: int, url: str) -> Service:
    service_log.capture()  # first: an import logs, too
    import apprise  # noqa: PLC0415 - its 130 services cost time and memory, which only those who use them pay

    # urllib3 writes the paths of requests, which may contain a token, at the level debug.
    logging.getLogger("urllib3").setLevel(logging.INFO)
    asset = apprise.AppriseAsset(
        app_id="face-app", app_desc="face-app", app_url="", storage_mode="memory", service_timeout=0
    )
    plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is None:
        schema = url.partition("://")[0]
        known = schema.isalnum() and schema in apprise.plugins.N_MGR
        cause = f"its parts are not those of {schema}://" if known else "it does not begin with a scheme of Apprise"
        raise SettingsError(
            f"notifications.urls_file {file}: the URL in line {line} cannot be used: {cause}; "
            "docs/notifications.md has examples"
        )
    if plugin.socket_read_timeout == apprise.URLBase.socket_read_timeout:
        plugin.socket_read_timeout = READ_SECONDS
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    label = f"service {position} ({url.partition('://')[0].lower()})"
    return Service(digest, label, plugin, service_log.secrets_of(url))
