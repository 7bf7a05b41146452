"""Where the requests for a service port go: EndpointSlices, else Pods, and WorkloadEntries."""

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import repeat
from sys import intern
from typing import NamedTuple

from translators.gateway_api.indexes import PODS_BY_LABEL, SLICES_BY_SERVICE
from translators.gateway_api.labels import takes_tunnels
from translators.gateway_api.names import name_leads_inside
from translators.gateway_api.nearness import is_node_only, locality_at, nearness_of
from translators.gateway_api.requirement import is_withheld
from translators.gateway_api.served import Served, find_port, find_served
from translators.gateway_api.texts import is_host_name
from translators.gateway_api.workloads import member_endpoint, members_of
from translators.ir.bootstrap import OWN_PORTS
from translators.ir.endpoint import Endpoint, EndpointSet, Locality
from translators.ir.origin import Origin
from translators.ir.place import Nearness
from translators.ir.waypoint import Mesh
from translators.resources.core import Pod, Service, ServicePort
from translators.resources.endpointslice import EndpointSlice, SliceEndpoint
from translators.resources.parsing.address import canonical_ip
from translators.resources.serviceentry import ServiceEntry
from translators.world import Reader

_NOWHERE = Locality()

_in_zone = lru_cache(maxsize=1024)(partial(Locality, ""))  # the same for all that are there


class Destination(NamedTuple):
    """A cluster, and the port of a Service or ServiceEntry whose endpoints it has."""

    cluster: str
    namespace: str
    service: str
    port: int
    kind: str = Service.kind


class _Candidate(NamedTuple):
    """An address that may become an endpoint; ``pod`` is the one that has it, if known."""

    address: str
    port: int
    pod: Pod | None
    zone: str = ""
    node: str = ""


def endpoint_set(reader: Reader, mesh: Mesh, destination: Destination) -> EndpointSet:
    """The endpoints of a cluster.

    There are none if the service or its port does not exist, or if it is ``withheld``.
    """
    kind, namespace, name = destination.kind, destination.namespace, destination.service
    served = find_served(reader, kind, namespace, name)
    port = find_port(served, destination.port)
    origins = (Origin(kind, namespace, name),)
    if served is None or port is None or is_withheld(reader, served):
        return EndpointSet(destination.cluster, (), origins)
    node_only = is_node_only(served)
    nearness = Nearness.NODE if node_only else nearness_of(reader, served)
    found = endpoints_of(reader, mesh, served, port, nearness)
    return EndpointSet(destination.cluster, found, origins, nearness, node_only)


def endpoints_of(
    reader: Reader,
    mesh: Mesh,
    served: Served,
    port: ServicePort,
    nearness: Nearness = Nearness.ANYWHERE,
) -> tuple[Endpoint, ...]:
    """The endpoints of a service port, sorted, each address once.

    Where ``nearness`` counts, it is said where they run as far as that is known of their nodes.
    A ServiceEntry that is not STATIC has none, because proxies find out where to go.
    """
    if isinstance(served, ServiceEntry) and served.resolution != "STATIC":
        return ()
    candidates = list(_candidates(reader, served, port))
    one_family = _one_family_each(candidates, served) if _are_mixed(candidates) else candidates
    is_near = nearness is not Nearness.ANYWHERE
    pods = map(partial(_placed, reader) if is_near else _endpoint, repeat(mesh), one_family)
    members = (member_endpoint(mesh, one, served, port) for one in members_of(reader, served))
    others = (one for one in members if one is not None and canonical_ip(one.address))
    return tuple({(one.address, one.port): one for one in sorted((*pods, *others))}.values())


def named_endpoints(
    reader: Reader, mesh: Mesh, entry: ServiceEntry, host: str, port: ServicePort
) -> tuple[Endpoint, ...]:
    """What a host of a ServiceEntry is resolved by, host names or addresses: itself by default.

    They are dialled directly: of a name nobody knows beforehand whether it takes tunnels, nor
    whether it is one of the proxy's own address, so that the proxy's own ports are left out.
    """
    pods = (_endpoint(mesh, each) for each in _from_pods(reader, entry, port))
    members = (member_endpoint(mesh, one, entry, port) for one in members_of(reader, entry))
    found = {one._replace(tunnel=False, identity="") for one in (*pods, *members) if one}
    is_own = is_host_name(host) and not name_leads_inside(host)
    if is_own and not entry.endpoints and entry.selector is None:
        number = port.target_port if isinstance(port.target_port, int) else 0
        found = {Endpoint(host, number or port.port)}
    return tuple(sorted(one for one in found if not _may_be_own(one)))


def _may_be_own(endpoint: Endpoint) -> bool:
    """Whether it may turn out to be a port of the proxy itself, which nobody may be led to."""
    return endpoint.port in OWN_PORTS and canonical_ip(endpoint.address) is None


def _candidates(reader: Reader, served: Served, port: ServicePort) -> Iterator[_Candidate]:
    if isinstance(served, Service):
        name = served.meta.namespace, served.meta.name
        if slices := reader.select(SLICES_BY_SERVICE, *name):
            return _from_slices(reader, served, port, slices)
    return _from_pods(reader, served, port)


def _from_slices(
    reader: Reader, service: Service, port: ServicePort, slices: Iterable[EndpointSlice]
) -> Iterator[_Candidate]:
    offered = [
        (number, endpoint)
        for piece in slices
        if (number := _slice_port(piece, port)) is not None
        for endpoint in piece.endpoints
    ]
    usable = [one for one in offered if _is_usable(service, one[1])]
    # Like kube-proxy (KEP-1669): rather a pod that is about to go than none.
    chosen = usable or [one for one in offered if one[1].serving and one[1].terminating]
    for number, endpoint in chosen:
        pod = reader.get(Pod, service.meta.namespace, endpoint.pod) if endpoint.pod else None
        for address in _addresses(endpoint.addresses):
            owner = pod if pod is not None and _has_address(pod, address) else None
            yield _Candidate(address, number, owner, endpoint.zone, endpoint.node)


def _slice_port(piece: EndpointSlice, port: ServicePort) -> int | None:
    """The number behind a service port, which slices know by its name."""
    if piece.address_type not in ("IPv4", "IPv6"):
        return None
    named = (p.port for p in piece.ports if p.name == port.name and p.protocol == port.protocol)
    return next(named, None)


def _is_usable(service: Service, endpoint: SliceEndpoint) -> bool:
    return service.publish_not_ready or (endpoint.ready and not endpoint.terminating)


def _has_address(pod: Pod, address: str) -> bool:
    """Whether a pod has an address; one whose addresses are unknown is believed."""
    return not pod.ips or address in pod.ips or address in _addresses(pod.ips)


def _from_pods(reader: Reader, served: Served, port: ServicePort) -> Iterator[_Candidate]:
    if not served.selector:
        return
    wanted = served.selector.items()
    first = min(wanted)
    for pod in reader.select(PODS_BY_LABEL, served.meta.namespace, *first):
        number = _target_port(pod, port)
        if wanted <= pod.meta.labels.items() and _runs(served, pod) and number is not None:
            for address in _addresses(pod.ips):
                yield _Candidate(address, number, pod)


def _runs(served: Served, pod: Pod) -> bool:
    if pod.is_over:
        return False
    published = isinstance(served, Service) and served.publish_not_ready
    return published or (pod.ready and not pod.terminating)


def _target_port(pod: Pod, port: ServicePort) -> int | None:
    """``targetPort``: a number, a container port's name, or missing: as the service's."""
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    named = (p for p in pod.ports if p.name == port.target_port and p.protocol == port.protocol)
    return next((p.port for p in named), None)


def _addresses(texts: Iterable[str]) -> list[str]:
    return [address for text in texts if (address := canonical_ip(text)) is not None]


def _family_of(served: Served) -> int:
    given = served.cluster_ips if isinstance(served, Service) else served.addresses
    return _family(next(iter(_addresses(given)), ""))


def _family(address: str) -> int:
    """4 or 6, of an address in canonical form."""
    return 6 if ":" in address else 4


def _are_mixed(candidates: Iterable[_Candidate]) -> bool:
    """Whether they have addresses of both families, which few have."""
    return len({_family(one.address) for one in candidates}) > 1


def _one_family_each(candidates: list[_Candidate], served: Served) -> Iterator[_Candidate]:
    """Leave out the second address of a pod that also has one of the service's own family."""
    family = _family_of(served)
    preferred = {
        one.pod.key for one in candidates if one.pod is not None and _family(one.address) == family
    }
    for one in candidates:
        if one.pod is None or one.pod.key not in preferred or _family(one.address) == family:
            yield one


def _endpoint(mesh: Mesh, candidate: _Candidate) -> Endpoint:
    address, port, pod, zone, _ = candidate
    locality = _in_zone(zone) if zone else _NOWHERE
    if pod is None or not speaks_hbone(pod):
        return Endpoint(address, port, locality=locality)
    return Endpoint(address, port, True, identity_of_pod(mesh, pod), locality=locality)


def _placed(reader: Reader, mesh: Mesh, candidate: _Candidate) -> Endpoint:
    node = candidate.node or (candidate.pod.node if candidate.pod else "")
    locality = locality_at(reader, node, candidate.zone)
    return _endpoint(mesh, candidate)._replace(locality=locality, node=node)


def speaks_hbone(pod: Pod) -> bool:
    """Whether a pod takes tunnels."""
    return not pod.host_network and takes_tunnels(pod.meta.labels, pod.meta.annotations)


def identity_of_pod(mesh: Mesh, pod: Pod) -> str:
    """The SPIFFE ID of a pod: that of its service account."""
    return intern(mesh.identity_of(pod.meta.namespace, pod.service_account))
