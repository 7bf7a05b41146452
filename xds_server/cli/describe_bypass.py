"""By which ways traffic gets to a service without meeting its waypoint, and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from translators.gateway_api import (
    Bound,
    ServiceConfig,
    bound_services,
    translate_service,
    waypoint_of,
    waypoints,
)
from translators.gateway_api.endpoints import speaks_hbone
from translators.gateway_api.labels import INGRESS_USE_WAYPOINT
from translators.gateway_api.served import Served, is_addressed, origin_of
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.core import Namespace, Pod
from translators.world import Reader
from xds_server.cli.describe_text import Value

_MAX_NAMED = 5  # objects that a reason names; the rest are counted
_OF_GATEWAY = "gateway.networking.k8s.io/gateway-name"  # label of pods that are proxies themselves


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a service, whether it skips the waypoint, and why."""

    name: str
    skips: bool
    why: str

    @property
    def facts(self) -> dict[str, Value]:
        """A row of the table of ways."""
        return {"way": self.name, "skips": self.skips, "why": self.why}


def ways_to(
    reader: Reader, mesh: Mesh, service: Served, waypoint: WaypointName, pods: Iterable[Pod]
) -> list[Value]:
    """All ways to a service that a waypoint serves; ``pods`` are those of the whole mesh."""
    addressed = is_addressed(reader, mesh, service)
    ways = (
        _through_address(waypoint, addressed=addressed),
        _through_ingress(reader, service, addressed=addressed),
        _to_pods(),
        _from_uncaptured(pods),
        _from_other_waypoints(reader, mesh, service, waypoint),
        Way(
            "from the waypoint itself",
            True,
            f"what runs as {waypoint} is never sent through it again",
        ),
    )
    return [way.facts for way in ways]


def uncaptured(pods: Iterable[Pod]) -> list[str]:
    """The running pods whose traffic no ztunnel takes, but for gateways' and waypoints'."""
    return [
        f"{pod.meta.namespace}/{pod.meta.name}"
        for pod in pods
        if not speaks_hbone(pod) and _OF_GATEWAY not in pod.meta.labels and not pod.is_over
    ]


def named(names: list[str]) -> str:
    """Some of them by name, the rest counted."""
    rest = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _through_address(waypoint: WaypointName, *, addressed: bool) -> Way:
    name = "captured pods, to the service's address"
    if addressed:
        return Way(name, False, f"ztunnel sends them to {waypoint}")
    return Way(name, True, "the service has no virtual IP: its name leads to the pods themselves")


def _through_ingress(reader: Reader, service: Served, *, addressed: bool) -> Way:
    """The service's label decides before its namespace's, as in Istio."""
    name = "through an ingress gateway"
    namespace = reader.get(Namespace, "", service.meta.namespace)
    for owner in (service, namespace):
        if owner is not None and INGRESS_USE_WAYPOINT in owner.meta.labels:
            value = owner.meta.labels[INGRESS_USE_WAYPOINT]
            break
    else:
        return Way(
            name, True, f"neither it nor its namespace is labelled {INGRESS_USE_WAYPOINT}=true"
        )
    label = f"{INGRESS_USE_WAYPOINT}={value} (of {owner.kind} {owner.meta.name})"
    if value == "true" and not addressed:
        return Way(name, True, f"{label} counts only for services with a virtual IP")
    return Way(name, value != "true", label)


def _to_pods() -> Way:
    why = "traffic to a pod's own address is not traffic to the service, whoever sends it"
    return Way("to a pod's own address", True, why)


def _from_uncaptured(pods: Iterable[Pod]) -> Way:
    name = "clients without ztunnel"
    names = uncaptured(pods)
    if names:
        return Way(name, True, f"nobody redirects what they send: {named(names)}")
    return Way(
        name, True, "nobody redirects what they send; none of the pods here is such a client"
    )


def _from_other_waypoints(
    reader: Reader, mesh: Mesh, service: Served, waypoint: WaypointName
) -> Way:
    name = "from other waypoints' routes"
    found = sorted(set(_other_referrers(reader, mesh, service, waypoint)))
    if found:
        return Way(name, True, f"they send straight to the pods, as a backend of {named(found)}")
    return Way(name, False, "no service of another waypoint has it as a backend")


def _other_referrers(
    reader: Reader, mesh: Mesh, service: Served, waypoint: WaypointName
) -> Iterator[str]:
    """The services of other waypoints that have this one as a backend."""
    for other in _all_services(reader):
        bound = waypoint_of(reader, other)
        if not isinstance(bound, Bound) or bound.waypoint == waypoint:
            continue
        if _leads_to(translate_service(reader, mesh, bound.waypoint, other), service):
            meta = other.meta
            yield f"{meta.namespace}/{meta.name} (waypoint {bound.waypoint})"


def _leads_to(config: ServiceConfig, service: Served) -> bool:
    return any(origin_of(service) in cluster.origins for cluster in config.clusters)


def _all_services(reader: Reader) -> Iterator[Served]:
    for waypoint in waypoints(reader):
        yield from bound_services(reader, waypoint)
