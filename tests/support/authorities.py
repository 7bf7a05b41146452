"""Certificate authorities as companies have them: a root, and intermediates below it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class IssuedCa:
    """A CA certificate and its key, both as objects."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class CaSpec:
    """What a CA certificate says; the default is a good one, without any key identifier."""

    name: str = "corp root"
    ca: bool = True
    path_length: int | None = None
    cert_sign: bool = True
    start: datetime = NOW - timedelta(days=1)
    end: datetime = NOW + timedelta(days=365)

    def but(self, **changes: object) -> "CaSpec":
        return replace(self, **changes)  # type: ignore[arg-type]


def make_ca(spec: CaSpec, parent: IssuedCa | None = None, key: Key | None = None) -> IssuedCa:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, spec.name)])
    issuer, signer = (parent.certificate.subject, parent.key) if parent else (subject, key)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(spec.start)
        .not_valid_after(spec.end)
        .add_extension(x509.BasicConstraints(spec.ca, spec.path_length), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=spec.cert_sign, **usage),
            critical=True,
        )
    )
    return IssuedCa(builder.sign(signer, hashes.SHA256()), key)


def write_cacerts(
    directory: Path, issuer: IssuedCa, roots: bytes, chain: bytes | None = None
) -> Path:
    """Lay the files out as in Istio's cacerts."""
    directory.mkdir(exist_ok=True, mode=0o700)
    files = {"ca-cert.pem": issuer.pem, "ca-key.pem": issuer.key_pem, "root-cert.pem": roots}
    if chain is not None:
        files["cert-chain.pem"] = chain
    for name, content in files.items():
        (directory / name).write_bytes(content)
    (directory / "ca-key.pem").chmod(0o600)
    return directory
