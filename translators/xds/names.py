"""Names that resources of a proxy call each other by; Istio's, because people grep for them."""

import re
from typing import Final

CONNECT_TERMINATE: Final = "connect_terminate"
"""The listener for HBONE."""

CONNECT_ORIGINATE: Final = "connect_originate"
"""The internal listener that opens tunnels, and the cluster that dials for it."""

MAIN_INTERNAL: Final = "main_internal"
"""The internal listener for declared protocols, and the cluster that leads to it."""

MAIN_INTERNAL_SNIFF: Final = "main_internal_sniff"
"""The internal listener for protocols that must be sniffed, and the cluster that leads to it."""

MAIN_INTERNAL_TLS: Final = "main_internal_tls"
"""The internal listener that reads server names, and the cluster that leads to it."""

MAIN_INTERNAL_DIRECT: Final = "main_internal_direct"
"""The internal listener for pods' own addresses, and the cluster that leads to it."""

TLS_DISPATCH: Final = "tls_dispatch"
"""The internal listener that routes by server name, and the cluster that leads to it."""

CONNECT_ROUTES: Final = "connect"
"""The route table of ``connect_terminate``."""

TLS_ROUTES: Final = "tls"
"""The route table of ``tls_dispatch``."""

ENCAP: Final = "encap"
"""The cluster that leads to ``connect_originate`` for the address that the client named."""

PASSTHROUGH: Final = "passthrough"
"""The cluster that dials what the client named."""

UNKNOWN_SERVICE: Final = "UnknownService"
"""A cluster that never exists: stands for a backend that is invalid."""

SVID: Final = "default"
"""The secret with the proxy's own certificate."""

ROOTS: Final = "ROOTCA"
"""The secret with the roots that peers are verified against."""

PEER_PRINCIPAL: Final = "io.istio.peer_principal"
"""Filter state: the client's SPIFFE ID."""

LOCAL_PRINCIPAL: Final = "io.istio.local_principal"
"""Filter state: the waypoint's SPIFFE ID, as the client saw it."""

LOCAL_ADDRESS: Final = "envoy.filters.listener.original_dst.local_ip"
"""Filter state: the address and port that the client named. Envoy's own key."""

REMOTE_ADDRESS: Final = "envoy.filters.listener.original_dst.remote_ip"
"""Filter state: the client's address and port. Envoy's own key."""

ORIGINAL_DST_METADATA: Final = "envoy.filters.listener.original_dst"
"""Endpoint metadata: where a tunnel leads, under ``local``. Envoy's own key."""

TCP_DESTINATION: Final = "waypost.tcp_destination"
"""Filter state: the cluster that a TCPRoute chose for a connection."""

OPAQUE_DENY: Final = "waypost.opaque_deny"
"""Filter state: what DENY rules make of a tunnel if it carries no HTTP, ``denied`` or not."""

OPAQUE_ALLOW: Final = "waypost.opaque_allow"
"""Filter state: the same of ALLOW rules."""

OPAQUE_POLICY: Final = "waypost.opaque_policy"
"""Filter state: the rule by which a tunnel is denied if it carries no HTTP."""

REFUSED: Final = "refused"
"""The filter chain that closes connections which policies deny."""

SERVER_NAME_HEADER: Final = "x-waypost-server-name"
"""Carries the server name of a TLS handshake on the CONNECT between two internal listeners."""

EXPECTED_IDENTITY: Final = "waypost.expected_identity"
"""Filter state: the SPIFFE ID that a pod addressed directly must show."""

HBONE_METADATA: Final = "waypost.hbone"
"""Endpoint metadata: the SPIFFE ID that the far end of a tunnel must show, under ``san``."""

SOURCE_HEADER: Final = "x-waypost-source"
"""Carries the client's address between two stages of one HTTP connection manager only."""

_NOT_IN_STATS = re.compile(r"[^A-Za-z0-9_-]+")


def stat_name(name: str) -> str:
    """The name as a part of a statistic's name: a dot would break Prometheus labels."""
    return _NOT_IN_STATS.sub("_", name)
