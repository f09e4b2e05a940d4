"""The days until a certificate expires, as another library made and reads it."""

import ssl
import subprocess
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from face_app.edge.health.certificate import Certificate, expiry_of
from support.authority import Authority


@pytest.mark.parametrize("days", [1, 20.5, 800, 9_000, 40_000, -0.5])
def test_the_last_moment_is_that_of_another_library(tmp_path, days):
    Authority(tmp_path).issue("jetson", days=days)
    data = (tmp_path / "jetson.crt").read_bytes()
    assert expiry_of(data.decode()) == x509.load_pem_x509_certificate(data).not_valid_after_utc


@pytest.mark.parametrize("key", ["rsa:2048", "ec"])
def test_a_certificate_of_openssl_with_text_and_chain(tmp_path, key):
    options = ["-newkey", key, *(["-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else [])]
    command = ["openssl", "req", "-x509", *options, "-nodes", "-keyout", "/dev/null", "-days", "30", "-subj", "/CN=x"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    Authority(tmp_path)
    left = expiry_of(f"Certificate:\n  Data:\n{made}{(tmp_path / 'ca.crt').read_text()}") - datetime.now(timezone.utc)
    assert timedelta(days=29.9) < left <= timedelta(days=30)


def test_a_renewed_file_is_read_again_and_a_missing_one_is_unknown(tmp_path, caplog):
    authority = Authority(tmp_path)
    file = tmp_path / "jetson.crt"
    certificate = Certificate(file)
    assert certificate.days_left() is None
    authority.issue("jetson", days=20)
    assert certificate.days_left() == pytest.approx(20, abs=0.1)
    authority.issue("jetson", days=800)
    assert certificate.days_left() == pytest.approx(800, abs=0.1)
    file.write_text("half a certificate")
    assert certificate.days_left() is None
    assert certificate.days_left() is None
    authority.issue("jetson", days=-2)
    assert certificate.days_left() == pytest.approx(-2, abs=0.1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_without_a_file_nothing_is_known():
    assert Certificate(None).days_left() is None


def test_a_key_or_a_damaged_certificate_is_none(tmp_path):
    Authority(tmp_path).issue("jetson")
    with pytest.raises(ValueError, match="no certificate"):
        expiry_of((tmp_path / "jetson.key").read_text())
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "jetson.crt").read_text())
    for length in range(len(der) - 1):
        with pytest.raises(ValueError):  # noqa: PT011 - each cut has its own message
            expiry_of(ssl.DER_cert_to_PEM_cert(der[:length]))


@pytest.fixture(scope="module")
def der(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("der")
    Authority(folder).issue("jetson")
    return ssl.PEM_cert_to_DER_cert((folder / "jetson.crt").read_text())


@given(at=st.integers(0, 400), byte=st.integers(0, 255))
def test_any_changed_byte_yields_a_time_or_a_message(der, at, byte):
    changed = bytearray(der)
    changed[at % len(der)] = byte
    with suppress(ValueError):
        assert expiry_of(ssl.DER_cert_to_PEM_cert(bytes(changed))).tzinfo
