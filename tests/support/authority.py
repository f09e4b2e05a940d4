"""A certificate authority for one test."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}


class Authority:
    """Makes ``ca.crt``, certificates for the loopback, and ``ca.crl``, in one folder."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._builder(self._name, self._key, days=3).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._write("ca.crt", certificate.sign(self._key, hashes.SHA256()))

    def issue(
        self,
        name: str,
        *,
        usage: Literal["client", "server"] = "client",
        days: float = 1,
        addresses: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        """Write ``<name>.crt`` and ``<name>.key``; the name is the CN.

        Args:
            name: Of the certificate.
            usage: Which end of a connection may show it.
            days: From now until it expires; may be negative.
            addresses: At which a client may reach it, besides localhost.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        places = [*(x509.IPAddress(ip_address(address)) for address in addresses), x509.DNSName("localhost")]
        certificate = self._builder(subject, key, days=days)
        certificate = certificate.add_extension(x509.SubjectAlternativeName(places), critical=False)
        certificate = certificate.add_extension(x509.ExtendedKeyUsage([USAGES[usage]]), critical=False)
        self._write(f"{name}.crt", certificate.sign(self._key, hashes.SHA256()))
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def revoke(self, *names: str, days: float = 1) -> None:
        """Write ``ca.crl`` with the serials of these certificates and no others; so many days until it expires."""
        now = datetime.now(timezone.utc)
        revocations = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        revocations = revocations.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=days))
        for name in names:
            serial = x509.load_pem_x509_certificate((self.folder / f"{name}.crt").read_bytes()).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            revocations = revocations.add_revoked_certificate(revoked.build())
        signed = revocations.sign(self._key, hashes.SHA256())
        (self.folder / "ca.crl").write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: float) -> x509.CertificateBuilder:
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(days=10)).not_valid_after(now + timedelta(days=days))

    def _write(self, name: str, certificate: x509.Certificate) -> None:
        (self.folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
