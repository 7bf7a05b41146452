"""The certificate authority: a signing key that turns identities into short-lived SVIDs.

Knows neither files nor the clock; ``authority_store`` keeps it on disk.
"""

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from xds_server.identity.spiffe import SpiffeId
from xds_server.identity.svid import ServerCertificate, Svid

DEFAULT_TTL = timedelta(hours=24)
MAX_TTL = timedelta(hours=24)
MIN_TTL = timedelta(seconds=1)
# Verifiers whose clock is a little behind must accept a certificate that is brand new.
BACKDATE = timedelta(minutes=2)
ROOT_LIFETIME = timedelta(days=3650)

# FIPS 186-5, A.2.1: 64 bits more than the order of the group, so that no scalar is likelier.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SCALAR_BYTES = 40

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")

# Never issued to anybody: the throw-away leaf that shows that a chain verifies carries it.
_PROBE = SpiffeId("probe.invalid", "probe", "probe")


class AuthorityError(Exception):
    """The authority can't be used. The message says why, names the file, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An issuer certificate with its key, the intermediates above it, and the trusted roots.

    ``roots`` may hold several, so that a root can be replaced: peers trust the old and the new one
    for as long as leaves of both are around.
    """

    issuer: x509.Certificate
    key: SigningKey = field(repr=False)
    intermediates: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]

    def issue(self, identity: SpiffeId, now: datetime, ttl: timedelta = DEFAULT_TTL) -> Svid:
        """A new key and a leaf for it that names ``identity`` and nothing else (X.509-SVID 4).

        Valid from two minutes before ``now`` (aware) until ``now + ttl``, but never outside the
        life of the issuer. Raises ValueError if ``ttl`` is not between MIN_TTL and MAX_TTL, and
        AuthorityError if the issuer is not valid at ``now``.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        return Svid(identity, *self._issue(_workload(identity), (now, now, ttl), key))

    def derive(self, identity: SpiffeId, start: datetime, now: datetime, ttl: timedelta) -> Svid:
        """The SVID of an identity that counts from ``start`` on: the same one, whoever asks.

        Its key and its serial number are derived from the authority's own key (HKDF, RFC 5869),
        and signatures are deterministic (RFC 6979). So all who hold this authority, other replicas
        and later processes, make the same bytes, and a proxy that goes from one to another keeps
        what it has. Nothing about the authority's key or other SVIDs follows from one. Raises as
        ``issue`` does.
        """
        about = f"{identity.uri} {start.isoformat()} {ttl.total_seconds():.0f}"
        key, serial = self._derived(about)
        return Svid(identity, *self._issue(_workload(identity), (start, now, ttl), key, serial))

    def issue_server(
        self, hosts: Iterable[str], now: datetime, ttl: timedelta = DEFAULT_TTL
    ) -> ServerCertificate:
        """A new key and a leaf for a server that is known by these DNS names and IP addresses.

        It names no SPIFFE ID and can't be shown by a client, so it opens nothing in the mesh.
        Raises ValueError for what is no host name, otherwise as ``issue`` does.
        """
        given = tuple(dict.fromkeys(hosts))
        names = x509.SubjectAlternativeName([general_name(host) for host in given])
        subject = _Subject(names, (ExtendedKeyUsageOID.SERVER_AUTH,))
        key = ec.generate_private_key(ec.SECP256R1())
        return ServerCertificate(given, *self._issue(subject, (now, now, ttl), key))

    def trust_bundle(self) -> bytes:
        """The PEM roots that peers verify each other against."""
        return _to_pem(self.roots)

    def verify(self, now: datetime) -> None:
        """Raise AuthorityError unless leaves of this authority would be accepted at ``now``.

        Signs a throw-away leaf and verifies its chain up to a root, so that a wrong key, root or
        chain is found here and not by every proxy of the mesh.
        """
        if self.key.public_key() != self.issuer.public_key():
            raise AuthorityError("the issuer certificate does not belong to the private key")
        for certificate in (self.issuer, *self.intermediates):
            self._require_valid(certificate, now)
        try:
            leaf, *above = x509.load_pem_x509_certificates(self.issue(_PROBE, now).chain)
            _verifier(self.roots, now).build_client_verifier().verify(leaf, above)
        except (VerificationError, ValueError, x509.DuplicateExtension) as error:
            raise AuthorityError(
                f"a leaf of {_name(self.issuer)} does not verify against the roots: {error}"
            ) from error

    @property
    def _presented(self) -> tuple[x509.Certificate, ...]:
        """What a proxy sends behind its leaf: roots are known to peers, so they are left out."""
        above = dict.fromkeys((self.issuer, *self.intermediates))
        return tuple(certificate for certificate in above if not _is_self_signed(certificate))

    def _issue(
        self,
        subject: "_Subject",
        life: tuple[datetime, datetime, timedelta],
        key: ec.EllipticCurvePrivateKey,
        serial: int = 0,
    ) -> tuple[bytes, bytes, datetime, datetime, int]:
        """The chain, the key, the start and end of the leaf's life, and its serial number.

        ``life`` is from when it counts, the time now, and for how long it counts.
        """
        start, now, ttl = life
        if not MIN_TTL <= ttl <= MAX_TTL:
            raise ValueError(f"a TTL of {ttl} is not between {MIN_TTL} and {MAX_TTL}")
        self._require_valid(self.issuer, now)
        leaf = self._sign(
            _leaf_builder(subject, key.public_key(), self.issuer, serial or _serial_number())
            .not_valid_before(max(start - BACKDATE, self.issuer.not_valid_before_utc))
            .not_valid_after(min(start + ttl, self.issuer.not_valid_after_utc))
        )
        return (
            _to_pem((leaf, *self._presented)),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            leaf.not_valid_before_utc,
            leaf.not_valid_after_utc,
            leaf.serial_number,
        )

    def _derived(self, about: str) -> tuple[ec.EllipticCurvePrivateKey, int]:
        """A P-256 key and a serial number that depend on the authority and the text alone."""
        secret = self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        info = b"waypost svid 1 " + self.issuer.fingerprint(hashes.SHA256()) + about.encode()
        made = HKDF(hashes.SHA256(), _SCALAR_BYTES + 16, None, info).derive(secret)
        scalar = 1 + int.from_bytes(made[:_SCALAR_BYTES]) % (_P256_ORDER - 1)
        serial = int.from_bytes(made[_SCALAR_BYTES:]) or 1
        return ec.derive_private_key(scalar, ec.SECP256R1()), serial

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        is_curve = isinstance(self.key, ec.EllipticCurvePrivateKey)
        deterministic = True if is_curve else None  # RSA signatures of this kind always are
        return builder.sign(self.key, _digest(self.key), ecdsa_deterministic=deterministic)

    @staticmethod
    def _require_valid(certificate: x509.Certificate, now: datetime) -> None:
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now >= end:
            raise AuthorityError(f"{_name(certificate)} expired at {end:%Y-%m-%dT%H:%M:%SZ}")
        if now < start:
            raise AuthorityError(f"{_name(certificate)} is valid from {start:%Y-%m-%dT%H:%M:%SZ}")


def create_authority(now: datetime) -> Authority:
    """A new P-256 key and a self-signed root for it, which signs leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = _serial_number()
    # The name is unique, so that verifiers tell the old root from the new one while both are used.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "waypost"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"waypost root {serial:032x}"),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    root = (
        x509.CertificateBuilder(name, name, key.public_key(), serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_authority_key_identifier(identifier), critical=False)
        .sign(key, _digest(key))
    )
    return Authority(root, key, (), (root,))


def general_name(host: str) -> x509.GeneralName:
    """A DNS name or IP address as a certificate names it. Raises ValueError."""
    with suppress(ValueError):
        return x509.IPAddress(ip_address(host))
    if _DNS_NAME.fullmatch(host) is None:
        raise ValueError(f"{host!r} is neither a DNS name nor an IP address")
    return x509.DNSName(host)


class _Subject(NamedTuple):
    """Whom a leaf names, and what for."""

    names: x509.SubjectAlternativeName
    usages: tuple[x509.ObjectIdentifier, ...]


def _workload(identity: SpiffeId) -> _Subject:
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    return _Subject(names, (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH))


def _leaf_builder(
    subject: _Subject, key: ec.EllipticCurvePublicKey, issuer: x509.Certificate, serial: int
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), key, serial)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(subject.usages), critical=False)
        # RFC 5280 4.2.1.6: critical, because the subject is empty.
        .add_extension(subject.names, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_issuer_key_identifier(issuer), critical=False)
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        identifier = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return _authority_key_identifier(identifier)


def _authority_key_identifier(issuer: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer)


def _verifier(roots: tuple[x509.Certificate, ...], now: datetime) -> PolicyBuilder:
    """RFC 5280 without the Web PKI's extra demands, which the roots of companies often miss."""
    authorities = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _require_cert_sign)
    )
    return (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(now)
        .extension_policies(ca_policy=authorities, ee_policy=ExtensionPolicy.webpki_defaults_ee())
    )


def _require_cert_sign(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("keyUsage does not include keyCertSign")


def _digest(key: SigningKey) -> hashes.SHA256 | hashes.SHA384:
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return hashes.SHA384()
        case _:
            return hashes.SHA256()


def _serial_number() -> int:
    """128 random bits, never zero (RFC 5280 4.1.2.2)."""
    return 1 + secrets.randbelow(2**128 - 1)


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}")


def _to_pem(certificates: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
