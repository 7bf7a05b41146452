"""Which resources of the API are followed, where they are, and what of them has a meaning."""

from collections.abc import Mapping
from dataclasses import dataclass

from translators.resources import known_versions

_SPEC = ("spec",)
_SPEC_AND_STATUS = ("spec", "status")

# The plural, and the content: see ``Resource``.
_FOLLOWED: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("", "Namespace"): ("namespaces", ()),
    ("", "Node"): ("nodes", ()),
    ("", "Service"): ("services", _SPEC),
    ("", "Pod"): ("pods", _SPEC_AND_STATUS),
    ("discovery.k8s.io", "EndpointSlice"): (
        "endpointslices",
        ("addressType", "endpoints", "ports"),
    ),
    ("gateway.networking.k8s.io", "GatewayClass"): ("gatewayclasses", _SPEC),
    ("gateway.networking.k8s.io", "Gateway"): ("gateways", _SPEC_AND_STATUS),
    ("gateway.networking.k8s.io", "HTTPRoute"): ("httproutes", _SPEC),
    ("gateway.networking.k8s.io", "GRPCRoute"): ("grpcroutes", _SPEC),
    ("gateway.networking.k8s.io", "TCPRoute"): ("tcproutes", _SPEC),
    ("gateway.networking.k8s.io", "TLSRoute"): ("tlsroutes", _SPEC),
    ("gateway.networking.k8s.io", "ReferenceGrant"): ("referencegrants", _SPEC),
    ("networking.istio.io", "ServiceEntry"): ("serviceentries", _SPEC_AND_STATUS),
    ("networking.istio.io", "WorkloadEntry"): ("workloadentries", _SPEC_AND_STATUS),
    ("security.istio.io", "AuthorizationPolicy"): ("authorizationpolicies", _SPEC),
    ("security.istio.io", "RequestAuthentication"): ("requestauthentications", _SPEC),
}

_UNORDERED = {"EndpointSlice": "endpoints"}

METADATA = (
    *("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp"),
    *("labels", "annotations"),
)
"""The fields of ``metadata`` that have a meaning where ``Resource.content`` is known."""

# Pods that have ended keep neither address nor endpoint, and clusters may hold thousands.
_FIELD_SELECTORS = {"pods": "status.phase!=Failed,status.phase!=Succeeded"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects in the API; ``versions`` are those that can be read, best first.

    ``label_selector`` tells which of them are meant; empty for all. ``content`` names the fields
    that have a meaning beside ``METADATA``; None if all that there is has one, revisions too.
    ``unordered`` is the one of them that is a list whose order has none.
    """

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    label_selector: str = ""
    content: tuple[str, ...] | None = None
    unordered: str = ""

    @property
    def name(self) -> str:
        """What people call it, for example ``httproutes.gateway.networking.k8s.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def field_selector(self) -> str:
        """Which objects the server is asked for; empty for all."""
        return _FIELD_SELECTORS.get(self.name, "")

    def api_version(self, version: str) -> str:
        """The ``apiVersion`` of its manifests."""
        return f"{self.group}/{version}" if self.group else version

    def path(self, version: str) -> str:
        """The URL path of all its objects in the cluster."""
        return f"{self._root(version)}/{self.plural}"

    def object_path(self, version: str, namespace: str, name: str) -> str:
        """The URL path of one object; ``namespace`` is empty for cluster-scoped kinds."""
        home = f"/namespaces/{namespace}" if namespace else ""
        return f"{self._root(version)}{home}/{self.plural}/{name}"

    def _root(self, version: str) -> str:
        return f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"


RESOURCES: tuple[Resource, ...] = tuple(
    Resource(group, kind, plural, versions, content=content, unordered=_UNORDERED.get(kind, ""))
    for (group, kind), versions in known_versions().items()
    for plural, content in [_FOLLOWED[group, kind]]
)
"""All that is followed: every kind that manifests can be read of."""
