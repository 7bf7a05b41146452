"""Mutual TLS of tunnels, and TLS to servers outside the mesh.

Tunnels: TLS 1.3, the waypoint's SVID, peers of the trust domains only.

Sessions are never resumed: a resumed session is not verified against roots that have changed
since, nor against the identity that an endpoint must show.
"""

from collections.abc import Iterable

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import DataSource, TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    CommonTlsContextCombinedCertificateValidationContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from translators.wire import pack
from translators.xds.address import is_ip
from translators.xds.config_source import ads
from translators.xds.names import ROOTS, SVID
from translators.xds.text import SPIFFE, exact


def accept_tunnels(trust_domains: Iterable[str]) -> TransportSocket:
    """The socket that clients' tunnels arrive on."""
    return _tls(
        DownstreamTlsContext(
            common_tls_context=_mutual(trust_domains),
            require_client_certificate=True,
            disable_stateless_session_resumption=True,
            disable_stateful_session_resumption=True,
        )
    )


def dial_tunnels(trust_domains: Iterable[str]) -> TransportSocket:
    """The socket that tunnels to destinations leave by.

    Filter state with the expected identity takes the place of the trust domains.
    """
    return _tls(UpstreamTlsContext(common_tls_context=_mutual(trust_domains), max_session_keys=0))


def dial_server(host: str, roots: str) -> TransportSocket:
    """TLS to a server that must show a certificate for ``host``, a name or an address.

    ``roots`` is the file of the certificates that are trusted, on the proxy's own disk.
    """
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        validation_context=CertificateValidationContext(
            trusted_ca=DataSource(filename=roots), match_typed_subject_alt_names=[_named(host)]
        ),
    )
    return _tls(UpstreamTlsContext(common_tls_context=context, sni=_sni(host)))


def dial_control_plane(
    server: str, roots: SdsSecretConfig, certificate: SdsSecretConfig | None
) -> TransportSocket:
    """TLS to the control plane, whose certificate must hold ``server``, a name or an address.

    ``certificate`` is the proxy's own, if it is to show one.
    """
    context = CommonTlsContext(
        alpn_protocols=["h2"],
        tls_params=_latest(),
        tls_certificate_sds_secret_configs=[] if certificate is None else [certificate],
        combined_validation_context=CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=CertificateValidationContext(
                match_typed_subject_alt_names=[_named(server)]
            ),
            validation_context_sds_secret_config=roots,
        ),
    )
    socket = UpstreamTlsContext(common_tls_context=context, sni=_sni(server), max_session_keys=0)
    return _tls(socket)


def _named(host: str) -> SubjectAltNameMatcher:
    """What a server's certificate must hold to be taken for this host."""
    kinds = SubjectAltNameMatcherSanType
    kind = kinds.IP_ADDRESS if is_ip(host) else kinds.DNS
    return SubjectAltNameMatcher(san_type=kind, matcher=exact(host))


def _sni(host: str) -> str:
    """The host as server name of the handshake, where addresses are not allowed (RFC 6066 3)."""
    return "" if is_ip(host) else host


def _mutual(trust_domains: Iterable[str]) -> CommonTlsContext:
    members = CertificateValidationContext(
        match_typed_subject_alt_names=[_member_of(domain) for domain in trust_domains]
    )
    return CommonTlsContext(
        alpn_protocols=["h2"],
        tls_params=_latest(),
        tls_certificate_sds_secret_configs=[_secret(SVID)],
        combined_validation_context=CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=members,
            validation_context_sds_secret_config=_secret(ROOTS),
        ),
    )


def _latest() -> TlsParameters:
    """TLS 1.3 alone. The maximum must be said: as a client, Envoy stops at 1.2 by itself."""
    only = TlsParametersTlsProtocol.TLSv1_3
    return TlsParameters(tls_minimum_protocol_version=only, tls_maximum_protocol_version=only)


def _member_of(trust_domain: str) -> SubjectAltNameMatcher:
    return SubjectAltNameMatcher(
        san_type=SubjectAltNameMatcherSanType.URI,
        matcher=StringMatcher(prefix=f"{SPIFFE}{trust_domain}/"),
    )


def _secret(name: str) -> SdsSecretConfig:
    # Without its secrets a waypoint would only break handshakes: it had better not be ready.
    return SdsSecretConfig(name=name, sds_config=ads(patient=True))


def _tls(context: Message) -> TransportSocket:
    return TransportSocket(name="tls", typed_config=pack(context))
