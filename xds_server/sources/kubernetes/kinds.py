"""Which resources of the API are followed, and where they are."""

from collections.abc import Mapping
from dataclasses import dataclass

from translators.resources import known_versions

_PLURALS: Mapping[tuple[str, str], str] = {
    ("", "Namespace"): "namespaces",
    ("", "Node"): "nodes",
    ("", "Service"): "services",
    ("", "Pod"): "pods",
    ("discovery.k8s.io", "EndpointSlice"): "endpointslices",
    ("gateway.networking.k8s.io", "GatewayClass"): "gatewayclasses",
    ("gateway.networking.k8s.io", "Gateway"): "gateways",
    ("gateway.networking.k8s.io", "HTTPRoute"): "httproutes",
    ("gateway.networking.k8s.io", "GRPCRoute"): "grpcroutes",
    ("gateway.networking.k8s.io", "TCPRoute"): "tcproutes",
    ("gateway.networking.k8s.io", "TLSRoute"): "tlsroutes",
    ("gateway.networking.k8s.io", "ReferenceGrant"): "referencegrants",
    ("networking.istio.io", "ServiceEntry"): "serviceentries",
    ("networking.istio.io", "WorkloadEntry"): "workloadentries",
    ("security.istio.io", "AuthorizationPolicy"): "authorizationpolicies",
    ("security.istio.io", "RequestAuthentication"): "requestauthentications",
}

# Pods that have ended keep neither address nor endpoint, and clusters may hold thousands.
_FIELD_SELECTORS = {"pods": "status.phase!=Failed,status.phase!=Succeeded"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects in the API; ``versions`` are those that can be read, best first.

    ``label_selector`` tells which of them are meant; empty for all.
    """

    group: str
    kind: str
    plural: str
    versions: tuple[str, ...]
    label_selector: str = ""

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
    Resource(group, kind, _PLURALS[group, kind], versions)
    for (group, kind), versions in known_versions().items()
)
"""All that is followed: every kind that manifests can be read of."""
