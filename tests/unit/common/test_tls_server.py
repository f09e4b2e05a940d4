"""Metrics with TLS: only clients with a certificate of the CA read them."""

import socket
import ssl
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from pydantic import ValidationError

from face_app.common import tls_server
from face_app.common.errors import SettingsError
from face_app.common.health_server import Health, fetch_health, serve
from face_app.common.settings import Metrics
from support.authority import Authority
from support.ports import free_port
from support.waiting import until

READY = Health(True, True, "", frozenset(), {})


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of our CA, and a client of another CA."""
    folder = tmp_path_factory.mktemp("pki")
    authority = Authority(folder)
    authority.issue("metrics", usage="server")
    authority.issue("prometheus")
    authority.issue("jetson")
    authority.issue("old", days=-1)
    (folder / "other").mkdir()
    Authority(folder / "other", "another authority").issue("prometheus")
    return folder


def settings(pki: Path, **values: Any) -> Metrics:
    files = {"cert_file": pki / "metrics.crt", "key_file": pki / "metrics.key", "client_ca_file": pki / "ca.crt"}
    return Metrics(**{"tls_host": "127.0.0.1", "tls_port": free_port(), **files, **values})


@contextmanager
def serving(metrics: Metrics):
    listeners = serve(metrics, lambda: READY)
    assert listeners
    try:
        yield
    finally:
        listeners.shutdown()
        listeners.server_close()


def read(metrics: Metrics, pki: Path, name: str = "", *, path: str = "/metrics") -> str:
    """Read as a client with a certificate; without a name, one without."""
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    if name:
        context.load_cert_chain(pki / f"{name}.crt", pki / f"{name}.key")
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    with opener.open(f"https://localhost:{metrics.tls_port}{path}", timeout=30) as answer:
        return answer.read().decode()


def test_a_client_with_a_certificate_reads_metrics_and_health(pki):
    metrics = settings(pki)
    with serving(metrics):
        assert "python_info" in read(metrics, pki, "prometheus")
        assert '"ready": true' in read(metrics, pki, "prometheus", path="/ready")


@pytest.mark.parametrize("name", ["", "other/prometheus", "old", "metrics"])
def test_any_other_client_is_refused(pki, name):
    """Without a certificate, with one of another CA, with an expired one, with one that is not a client's."""
    metrics = settings(pki)
    # The handshake of TLS 1.3 ends for the client before the server has refused it.
    with serving(metrics), pytest.raises((ssl.SSLError, OSError)):
        read(metrics, pki, name)


def test_plain_http_is_refused(pki):
    metrics = settings(pki)
    with serving(metrics), socket.create_connection(("127.0.0.1", metrics.tls_port), timeout=30) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"python_info" not in connection.recv(10_000)


def test_a_name_that_is_not_listed_is_refused(pki):
    """An edge has a certificate of the same CA, and must not read the metrics of another."""
    metrics = settings(pki, client_names=["prometheus"])
    with serving(metrics):
        assert read(metrics, pki, "prometheus")
        with pytest.raises(HTTPError, match="403"):
            read(metrics, pki, "jetson")


def test_the_health_check_needs_no_certificate(pki):
    metrics = settings(pki, port=free_port())
    with serving(metrics):
        assert fetch_health(metrics) == READY


def test_silent_clients_delay_no_other(pki, monkeypatch):
    monkeypatch.setattr(tls_server, "MOST_CLIENTS", 4)
    metrics = settings(pki)
    with serving(metrics), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", metrics.tls_port)))
        assert read(metrics, pki, "prometheus")


def test_too_many_clients_are_closed_and_free_their_place(pki, monkeypatch):
    monkeypatch.setattr(tls_server, "MOST_CLIENTS", 2)
    metrics = settings(pki)
    with serving(metrics):
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(socket.create_connection(("127.0.0.1", metrics.tls_port)))
            with socket.create_connection(("127.0.0.1", metrics.tls_port), timeout=30) as third:
                assert third.recv(1) == b""

        def served() -> bool:
            try:
                return bool(read(metrics, pki, "prometheus"))
            except OSError:
                return False

        until(served)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("cert_file", None, r"metrics\.cert_file .*No such file.*set metrics\.cert_file and metrics\.key_file"),
        ("cert_file", "no certificate", r"metrics\.cert_file .*PEM"),
        ("key_file", "no key", r"metrics\.cert_file .*PEM"),
        ("client_ca_file", None, r"metrics\.client_ca_file .*No such file.*set it to the CA"),
        ("client_ca_file", "", r"metrics\.client_ca_file .*set it to the CA"),
    ],
)
def test_a_bad_file_is_one_line(pki, tmp_path, name, content, expected):
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=expected) as refused:
        serve(settings(pki, **{name: file}), lambda: READY)
    assert "\n" not in str(refused.value)


def test_a_port_in_use_is_named(pki):
    metrics = settings(pki)
    with serving(metrics), pytest.raises(SettingsError, match=rf"metrics\.tls_port = {metrics.tls_port}: .*in use"):
        serve(metrics, lambda: READY)


@pytest.mark.parametrize("missing", ["tls_port", "cert_file", "key_file", "client_ca_file"])
def test_the_settings_belong_together(pki, missing):
    with pytest.raises(ValidationError, match="belong together: set all or none"):
        settings(pki, **{missing: None})


def test_two_listeners_have_two_ports(pki):
    port = free_port()
    with pytest.raises(ValidationError, match="two different ports"):
        settings(pki, port=port, tls_port=port)
