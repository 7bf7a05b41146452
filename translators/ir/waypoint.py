"""The waypoint itself: its name, its identity, and what belongs to it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from translators.ir.deployment import DeploymentFacts
from translators.ir.external_authorization import AuthzProvider


class WaypointName(NamedTuple):
    """The namespace and name of the Gateway that a waypoint's Envoys serve.

    A tuple, as all names that are looked up on every change: its hash is the cheapest there is.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "WaypointName":
        """Read ``namespace/name``. Raises ValueError for anything else."""
        namespace, slash, name = text.partition("/")
        if not (slash and namespace and name) or "/" in name:
            raise ValueError(f"{text!r} is not of the form namespace/name")
        return cls(namespace, name)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Facts that all waypoints share (Istio's MeshConfig).

    ``requires_grants``: a route needs a ReferenceGrant for a backend in another namespace.
    ``providers`` are the servers that CUSTOM policies may name; ``tokens_before_custom``: they are
    asked when tokens are verified already. ``layered_authorization``: waypoints enforce policies by
    selector and for whole namespaces too, on the tunnel. ``max_connection_ms`` bounds how long
    a connection may outlive a policy that it was opened under. ``dns_servers``, ``address:port``
    each, are whom proxies ask for host names; if there are none, those of their own hosts.
    ``public_roots`` is the file, on a
    proxy's own disk, of the roots that servers outside the mesh are verified against.
    ``deployment`` is how waypoints are deployed, as far as the configuration says. Nothing is said
    about Gateways of another ``revision`` than ours; if it is empty, all are ours.
    """

    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    requires_grants: bool = False
    providers: tuple[AuthzProvider, ...] = ()
    tokens_before_custom: bool = False
    layered_authorization: bool = False
    max_connection_ms: int | None = None
    dns_servers: tuple[str, ...] = ()
    public_roots: str = "/etc/ssl/certs/ca-certificates.crt"
    deployment: DeploymentFacts = field(default_factory=DeploymentFacts)
    revision: str = ""

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """The trust domain and its aliases, in that order."""
        return (self.trust_domain, *self.trust_domain_aliases)

    def identity_of(self, namespace: str, account: str) -> str:
        """The SPIFFE ID of a service account, as Istio lays it out."""
        return f"spiffe://{self.trust_domain}/ns/{namespace}/sa/{account}"


class TrafficType(StrEnum):
    """Whose traffic a waypoint handles (label ``istio.io/waypoint-for``)."""

    SERVICE = "service"
    WORKLOAD = "workload"
    ALL = "all"
    NONE = "none"
