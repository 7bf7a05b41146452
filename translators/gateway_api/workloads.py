"""Workloads that are no Pods: WorkloadEntries, and endpoints that ServiceEntries list."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from translators.gateway_api.indexes import WORKLOADS_BY_LABEL
from translators.gateway_api.labels import takes_tunnels, workload_labels
from translators.gateway_api.names import leads_inside, name_leads_inside
from translators.gateway_api.served import Served
from translators.gateway_api.texts import is_host_name
from translators.ir.endpoint import Endpoint, Locality
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.resources.parsing.address import canonical_ip
from translators.resources.workloadentry import Workload, WorkloadEntry
from translators.world import Reader


@dataclass(frozen=True, slots=True)
class Member:
    """A workload of a service. ``place`` tells where it is written, for people.

    ``tunnel``: it takes tunnels. ``namespace`` is that of its service account.
    """

    workload: Workload
    namespace: str
    place: str
    tunnel: bool


def members_of(reader: Reader, served: Served) -> Iterator[Member]:
    """The WorkloadEntries that a service selects, or the endpoints that a ServiceEntry lists.

    One that fails its health check is left out.
    """
    if not isinstance(served, Service) and served.selector is None:
        for index, workload in enumerate(served.endpoints):
            labels = {**served.meta.labels, **workload.labels}
            tunnel = takes_tunnels(labels, served.meta.annotations)
            yield Member(workload, served.meta.namespace, f"spec.endpoints[{index}]", tunnel)
        return
    for entry in selected_entries(reader, served.meta.namespace, served.selector or {}):
        if entry.healthy:
            tunnel = takes_tunnels(workload_labels(entry), entry.meta.annotations)
            place = f"WorkloadEntry {entry.meta.name}"
            yield Member(entry.workload, entry.meta.namespace, place, tunnel)


def selected_entries(
    reader: Reader, namespace: str, selector: Mapping[str, str]
) -> list[WorkloadEntry]:
    """The WorkloadEntries of a namespace with all of these labels; none if there are no labels."""
    if not selector:
        return []
    wanted = selector.items()
    found = reader.select(WORKLOADS_BY_LABEL, namespace, *min(wanted))
    return [entry for entry in found if wanted <= workload_labels(entry).items()]


def member_endpoint(
    mesh: Mesh, member: Member, served: Served, port: ServicePort
) -> Endpoint | None:
    """The endpoint that a workload is for a port; None if it is none, or has no such port.

    Its address may be a host name.
    """
    workload, number = member.workload, _port_of(member.workload, served, port)
    address = address_of(workload)
    if number is None or address is None:
        return None
    account = workload.service_account if member.tunnel else ""
    return Endpoint(
        address=address,
        port=number,
        tunnel=member.tunnel,
        identity=mesh.identity_of(member.namespace, account) if account else "",
        locality=locality_of(workload.locality),
        weight=workload.weight,
    )


def address_of(workload: Workload) -> str | None:
    """The IP address in canonical form or the host name; None if it is neither.

    Addresses and names of the proxy itself count as none.
    """
    address = canonical_ip(workload.address)
    if address is not None:
        return None if leads_inside(address) else address
    is_name = is_host_name(workload.address) and not name_leads_inside(workload.address)
    return workload.address if is_name else None


def locality_of(text: str) -> Locality:
    """A locality that is written as ``region/zone/subzone``, from the left as far as it goes."""
    region, zone, subzone = (*text.split("/"), "", "")[:3] if text else ("", "", "")
    return Locality(region, zone, subzone)


def _port_of(workload: Workload, served: Served, port: ServicePort) -> int | None:
    """The workload's own port: it may name it as the Service's target port or as the port."""
    if isinstance(served, Service) and isinstance(port.target_port, str):
        return workload.ports.get(port.target_port)
    given = port.target_port if isinstance(port.target_port, int) else 0
    return workload.ports.get(port.name) or given or port.port
