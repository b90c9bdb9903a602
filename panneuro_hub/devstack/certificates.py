"""Certificates with which the servers of one SeaweedFS know each other, new at each start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LIFE = timedelta(days=365)


@dataclass(frozen=True)
class ServerCertificates:
    """An authority of our own and one certificate by it, in PEM.

    Parameters
    ----------
    authority, certificate : str
    key : str
        The private key of `certificate`. That of the authority is not kept.
    """

    authority: str
    certificate: str
    key: str = field(repr=False)

    @classmethod
    def new(cls, address: str = "127.0.0.1") -> ServerCertificates:
        """Fresh ones for the IP address `address` and localhost, good for a year."""
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority_name = _name("PanNeuro demo authority")
        authority = (
            _builder(authority_name, authority_name, authority_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ip_address(address)), x509.DNSName("localhost")]
        certificate = (
            _builder(_name("PanNeuro demo store"), authority_name, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(
            authority.public_bytes(Encoding.PEM).decode(),
            certificate.public_bytes(Encoding.PEM).decode(),
            private.decode(),
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )
