"""Callers that are known by their certificate (SPIFFE X.509-SVID)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from cryptography import x509

from xds_server.identity.peer import Caller, Denied, Peer, Proof, Reason, ServiceAccount
from xds_server.identity.spiffe import SpiffeId


class CertificateCredentials:
    """Certificates of one trust domain; TLS has verified that the mesh's authority issued them.

    ``clock`` gives the time as an aware datetime.
    """

    needs_certificate = True

    def __init__(self, trust_domain: str, clock: Callable[[], datetime]) -> None:
        self.reviews: Mapping[str, int] = {}
        self._trust_domain = trust_domain
        self._clock = clock

    def problems(self) -> Sequence[str]:
        """None: nobody else is asked."""
        return ()

    async def close(self) -> None:
        """Nothing to close."""

    async def identify(self, peer: Peer) -> Caller:
        """The service account in the certificate. Raises Denied."""
        identity = _identity(peer)
        if identity.trust_domain != self._trust_domain:
            raise Denied("the certificate is of another trust domain", Reason.BAD_CREDENTIAL)
        expires = _expiry(peer)
        if expires <= self._clock():
            raise Denied("the certificate has expired", Reason.EXPIRED)
        account = ServiceAccount(identity.namespace, identity.service_account)
        return Caller(Proof.CERTIFICATE, account, expires=expires)


def _identity(peer: Peer) -> SpiffeId:
    match peer.auth_context.get("peer_spiffe_id", ()):
        case [bytes(uri)]:
            pass
        case _:
            raise Denied("a client certificate with one SPIFFE ID is needed", Reason.NO_CREDENTIAL)
    try:
        return SpiffeId.parse(uri.decode("ascii"))
    except ValueError:  # UnicodeDecodeError is one
        raise Denied("the certificate names no service account", Reason.BAD_CREDENTIAL) from None


def _expiry(peer: Peer) -> datetime:
    """Until when the peer's certificate is good; the handshake saw it valid."""
    match peer.auth_context.get("x509_pem_cert", ()):
        case [bytes(pem)]:
            pass
        case _:
            raise Denied("the client certificate can't be read", Reason.BAD_CREDENTIAL)
    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        raise Denied("the client certificate can't be read", Reason.BAD_CREDENTIAL) from None
