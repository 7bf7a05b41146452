"""Key material."""

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    Secret,
    TlsCertificate,
)

from translators.ir.secret import Certificate, TrustBundle


def certificate(node: Certificate) -> Secret:
    """A certificate with its private key."""
    return Secret(
        name=node.name,
        tls_certificate=TlsCertificate(
            certificate_chain=DataSource(inline_bytes=node.chain),
            private_key=DataSource(inline_bytes=node.key),
        ),
    )


def trust_bundle(node: TrustBundle) -> Secret:
    """The roots that peers are verified against."""
    return Secret(
        name=node.name,
        validation_context=CertificateValidationContext(
            trusted_ca=DataSource(inline_bytes=node.roots)
        ),
    )
