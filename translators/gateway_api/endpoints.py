"""Where the requests for a service port go: from EndpointSlices, else from Pods."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from translators.gateway_api.indexes import PODS_BY_LABEL, SLICES_BY_SERVICE
from translators.gateway_api.labels import REDIRECTION, TUNNEL
from translators.gateway_api.names import canonical_ip
from translators.ir.endpoint import Endpoint, EndpointSet, Locality
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.core import Pod, Service, ServicePort
from translators.resources.endpointslice import EndpointSlice, SliceEndpoint
from translators.world import Reader


class Destination(NamedTuple):
    """A cluster, and the service port whose endpoints it has."""

    cluster: str
    namespace: str
    service: str
    port: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An address that may become an endpoint; ``pod`` is the one that has it, if known."""

    address: str
    port: int
    pod: Pod | None
    zone: str = ""


def endpoint_set(reader: Reader, mesh: Mesh, destination: Destination) -> EndpointSet:
    """The endpoints of a cluster; empty if the service or its port does not exist."""
    service = reader.get(Service, destination.namespace, destination.service)
    port = find_port(service, destination.port)
    found = () if service is None or port is None else endpoints_of(reader, mesh, service, port)
    origin = Origin(Service.kind, destination.namespace, destination.service)
    return EndpointSet(destination.cluster, found, (origin,))


def find_port(service: Service | None, number: int) -> ServicePort | None:
    """The TCP port of that number; the first one if a manifest has several."""
    if service is None:
        return None
    return next((p for p in service.ports if p.port == number and p.protocol == "TCP"), None)


def endpoints_of(
    reader: Reader, mesh: Mesh, service: Service, port: ServicePort
) -> tuple[Endpoint, ...]:
    """The endpoints of a service port, sorted, each address once."""
    slices = reader.select(SLICES_BY_SERVICE, service.meta.namespace, service.meta.name)
    if slices:
        candidates = list(_from_slices(reader, service, port, slices))
    else:
        candidates = list(_from_pods(reader, service, port))
    one_family = _one_family_each(candidates, _family_of(service))
    found = sorted(_endpoint(mesh, candidate) for candidate in one_family)
    return tuple({(one.address, one.port): one for one in found}.values())


def _from_slices(
    reader: Reader, service: Service, port: ServicePort, slices: Iterable[EndpointSlice]
) -> Iterator[_Candidate]:
    offered = [
        (piece.meta.namespace, number, endpoint)
        for piece in slices
        if (number := _slice_port(piece, port)) is not None
        for endpoint in piece.endpoints
    ]
    usable = [one for one in offered if _is_usable(service, one[2])]
    # Like kube-proxy (KEP-1669): rather a pod that is about to go than none.
    chosen = usable or [one for one in offered if one[2].serving and one[2].terminating]
    for namespace, number, endpoint in chosen:
        pod = reader.get(Pod, namespace, endpoint.pod) if endpoint.pod else None
        for address in _addresses(endpoint.addresses):
            owner = pod if pod is not None and _has_address(pod, address) else None
            yield _Candidate(address, number, owner, endpoint.zone)


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
    return not pod.ips or address in _addresses(pod.ips)


def _from_pods(reader: Reader, service: Service, port: ServicePort) -> Iterator[_Candidate]:
    if not service.selector:
        return
    wanted = service.selector.items()
    first = min(wanted)
    for pod in reader.select(PODS_BY_LABEL, service.meta.namespace, *first):
        number = _target_port(pod, port)
        if wanted <= pod.meta.labels.items() and _runs(service, pod) and number is not None:
            for address in _addresses(pod.ips):
                yield _Candidate(address, number, pod)


def _runs(service: Service, pod: Pod) -> bool:
    if pod.phase in ("Succeeded", "Failed"):
        return False
    return service.publish_not_ready or (pod.ready and not pod.terminating)


def _target_port(pod: Pod, port: ServicePort) -> int | None:
    """``targetPort``: a number, a container port's name, or missing: as the service's."""
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    named = (p for p in pod.ports if p.name == port.target_port and p.protocol == port.protocol)
    return next((p.port for p in named), None)


def _addresses(texts: Iterable[str]) -> list[str]:
    return [address for text in texts if (address := canonical_ip(text)) is not None]


def _family_of(service: Service) -> int:
    primary = next(iter(_addresses(service.cluster_ips)), "0.0.0.0")  # noqa: S104
    return _family(primary)


def _family(address: str) -> int:
    """4 or 6, of an address in canonical form."""
    return 6 if ":" in address else 4


def _one_family_each(candidates: list[_Candidate], family: int) -> Iterator[_Candidate]:
    """Leave out the second address of a pod that also has one of the wanted family."""
    preferred = {
        one.pod.key for one in candidates if one.pod is not None and _family(one.address) == family
    }
    for one in candidates:
        if one.pod is None or one.pod.key not in preferred or _family(one.address) == family:
            yield one


def _endpoint(mesh: Mesh, candidate: _Candidate) -> Endpoint:
    pod = candidate.pod
    tunnel = pod is not None and speaks_hbone(pod)
    return Endpoint(
        address=candidate.address,
        port=candidate.port,
        tunnel=tunnel,
        identity=_identity(mesh, pod) if pod is not None and tunnel else "",
        locality=Locality(zone=candidate.zone),
    )


def speaks_hbone(pod: Pod) -> bool:
    """Whether a pod takes tunnels: captured by the node's proxy, or speaking HBONE itself.

    It is the annotation that the network plug-in writes which tells, not the label that asks for
    capture: until the plug-in has acted nobody listens on the pod's HBONE port.
    """
    captured = pod.meta.annotations.get(REDIRECTION) == "enabled"
    return not pod.host_network and (captured or pod.meta.labels.get(TUNNEL) == "http")


def _identity(mesh: Mesh, pod: Pod) -> str:
    return f"spiffe://{mesh.trust_domain}/ns/{pod.meta.namespace}/sa/{pod.service_account}"
