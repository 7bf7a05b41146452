"""What is to be told about a service, a pod or a namespace."""

from collections.abc import Iterator

from translators import authorization
from translators.authorization.attachment import WITHOUT_TARGETS
from translators.gateway_api import (
    Bound,
    bound_workloads,
    gateway_conditions,
    translate_service,
    waypoint_of,
    waypoints,
    workload_waypoint_of,
)
from translators.gateway_api.endpoints import identity_of_pod, speaks_hbone
from translators.gateway_api.labels import MANAGED
from translators.gateway_api.nearness import is_node_only, nearness_of
from translators.gateway_api.requirement import WAYPOINT_REQUIRED, is_withheld
from translators.gateway_api.selectors import selects
from translators.gateway_api.served import KINDS, Served, hosts_of, is_addressed
from translators.ir.place import Nearness
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Namespace, Pod, Service
from translators.resources.gateway import Gateway
from translators.world import Reader
from xds_server.cli.describe_bypass import named, uncaptured, ways_to
from xds_server.cli.describe_enrolment import (
    enrolment_facts,
    handled,
    pod_enrolment_facts,
    wish_facts,
    wish_of,
)
from xds_server.cli.describe_routing import (
    ignored_facts,
    pod_policy_facts,
    policy_facts,
    port_facts,
)
from xds_server.cli.describe_text import Facts, Value
from xds_server.cli.manifests import Manifests

_CHOICE = {
    Nearness.ANYWHERE: "any",
    Nearness.ZONE: "of the waypoint's zone, then of its region, then any",
    Nearness.NODE: "of the waypoint's node, then of its zone, then of its region, then any",
}
_DATAPLANE_MODE = "istio.io/dataplane-mode"
_NO_WAY = "every way: no waypoint serves it, so that routes and HTTP policies are not enforced"
_ONLY_WAYPOINTS_REFUSE = f"{_NO_WAY}; but other waypoints do not send to it ({WAYPOINT_REQUIRED})"


def service_facts(compiled: Manifests, mesh: Mesh, service: Served) -> Facts:
    """A service: who serves it, what is done to its traffic, and what passes that by."""
    reader, meta = compiled.reader(), service.meta
    facts: Facts = {
        "kind": service.kind,
        "name": meta.name,
        "namespace": meta.namespace,
        **_host_facts(reader, mesh, service),
        "waypoint": enrolment_facts(reader, service),
        "endpoints": _choice(reader, service),
    }
    match waypoint_of(reader, service):
        case Bound(waypoint):
            guards = authorization.protection(reader, mesh, waypoint, service)
            config = translate_service(reader, mesh, waypoint, service, guards)
            return facts | {
                "ports": port_facts(service, config),
                "policies": policy_facts(reader, mesh, waypoint, service),
                "waysPastTheWaypoint": ways_to(reader, mesh, service, waypoint, _pods(compiled)),
            }
        case _:
            return facts | {
                "ports": port_facts(service, None),
                "withoutEffect": ignored_facts(reader, service),
                "waysPastTheWaypoint": (
                    _ONLY_WAYPOINTS_REFUSE if is_withheld(reader, service) else _NO_WAY
                ),
            }


def _host_facts(reader: Reader, mesh: Mesh, service: Served) -> Facts:
    """Under which names and addresses clients know it."""
    hosts = hosts_of(reader, mesh, service)
    if isinstance(service, Service):
        return {"hostname": hosts[0].name, "addresses": list(hosts[0].addresses)}
    rows = (f"{host.name} {each}" for host in hosts for each in (*host.addresses, *host.ranges))
    return {"hosts": [host.name for host in hosts], "addresses": list(rows)}


def _choice(reader: Reader, service: Served) -> str:
    """Which endpoints come first."""
    if is_node_only(service):
        return "of the waypoint's node alone (internalTrafficPolicy: Local)"
    return _CHOICE[nearness_of(reader, service)]


def pod_facts(compiled: Manifests, mesh: Mesh, pod: Pod) -> Facts:
    """A pod: how it is reached, by its services' addresses and by its own."""
    reader, meta = compiled.reader(), pod.meta
    captured = speaks_hbone(pod)
    bound = workload_waypoint_of(reader, pod)
    through = bound.waypoint if isinstance(bound, Bound) else None
    return {
        "kind": "Pod",
        "name": meta.name,
        "namespace": meta.namespace,
        "identity": identity_of_pod(mesh, pod),
        "addresses": list(pod.ips),
        "captured": captured,
        "waypoint": pod_enrolment_facts(reader, pod),
        "waysIn": [*_service_ways(compiled, mesh, pod), _own_way(through, captured)],
        "policies": pod_policy_facts(reader, mesh, through) if through else [],
        "policiesAtZtunnel": _ztunnel_policies(reader, mesh, pod) if captured else [],
    }


def namespace_facts(compiled: Manifests, namespace: Namespace) -> Facts:
    """A namespace: its waypoints, and by which of them its services are served."""
    reader, home = compiled.reader(), namespace.meta.name
    lost = uncaptured(pod for pod in _pods(compiled) if pod.meta.namespace == home)
    return {
        "kind": "Namespace",
        "name": home,
        "dataplaneMode": namespace.meta.labels.get(_DATAPLANE_MODE),
        "waypoint": wish_facts(wish_of(reader, namespace)),
        "waypoints": list(_waypoints(compiled, reader, home)),
        "services": [_service_row(reader, one) for one in _services(compiled, home)],
        "podsWithoutZtunnel": named(lost),
    }


def _service_ways(compiled: Manifests, mesh: Mesh, pod: Pod) -> Iterator[Value]:
    reader = compiled.reader()
    for service in _services(compiled, pod.meta.namespace):
        if not service.selector or not service.selector.items() <= pod.meta.labels.items():
            continue
        bound = waypoint_of(reader, service)
        is_served = isinstance(bound, Bound) and is_addressed(reader, mesh, service)
        through = str(bound.waypoint) if isinstance(bound, Bound) and is_served else None
        yield {
            "way": f"to {service.kind} {service.meta.name}",
            "waypoint": through,
            "why": "the pod sees the waypoint's identity, not the client's"
            if through
            else "the service is served by no waypoint",
        }


def _own_way(through: WaypointName | None, captured: bool) -> Value:
    if through is not None:
        why = "from captured pods; only policies of the waypoint itself are enforced"
    else:
        why = "ztunnel delivers it" if captured else "nobody takes it on the way"
    waypoint = str(through) if through else None
    return {"way": "to its own address", "waypoint": waypoint, "why": why}


def _ztunnel_policies(reader: Reader, mesh: Mesh, pod: Pod) -> list[Value]:
    """The policies that are enforced where the pod is, on what comes from a waypoint as well."""
    homes = dict.fromkeys((mesh.root_namespace, pod.meta.namespace))
    return [
        f"{policy.action} {policy.kind} {policy.meta.namespace}/{policy.meta.name}"
        for home in homes
        for policy in reader.select(WITHOUT_TARGETS, home)
        if _is_for(policy, pod)
    ]


def _is_for(policy: AuthorizationPolicy, pod: Pod) -> bool:
    return policy.selector is None or selects(policy.selector, pod.meta.labels)


def _waypoints(compiled: Manifests, reader: Reader, home: str) -> Iterator[Value]:
    for name in waypoints(reader):
        gateway = reader.get(Gateway, name.namespace, name.name)
        if name.namespace == home and gateway is not None:
            said = gateway_conditions(reader, compiled.compiler.mesh, gateway)
            ready = any(one.status for one in said if (one.type, one.scope) == ("Programmed", ""))
            yield {
                "name": name.name,
                "handles": handled(reader, name),
                "pods": len(bound_workloads(reader, name)),
                "programmed": ready,
            }


def _service_row(reader: Reader, service: Served) -> Value:
    wish, got = wish_of(reader, service), waypoint_of(reader, service)
    is_bound = isinstance(got, Bound)
    return {
        "service": service.meta.name
        if isinstance(service, Service)
        else f"{service.meta.name} ({service.kind})",
        "waypoint": str(got.waypoint) if got else None,
        "bound": is_bound,
        "label": f"{wish.labels} (of {wish.owner})" if wish and got else None,
    }


def _services(compiled: Manifests, home: str) -> list[Served]:
    """The services of a namespace, but those of waypoints."""
    return [
        one
        for one in compiled.objects
        if isinstance(one, KINDS) and one.meta.namespace == home and MANAGED not in one.meta.labels
    ]


def _pods(compiled: Manifests) -> list[Pod]:
    return [one for one in compiled.objects if isinstance(one, Pod)]
