"""ServiceEntry (networking.istio.io): a service that Kubernetes does not know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from translators.resources.core import ServicePort
from translators.resources.metadata import KubernetesObject
from translators.resources.workloadentry import ISTIO_NETWORKING_GROUP, Workload


@dataclass(frozen=True, slots=True)
class ServiceEntry(KubernetesObject):
    """A ServiceEntry.

    ``addresses`` are IP addresses or CIDR ranges; ``allocated`` are (host, IP address) from its
    status. ``ports`` are as those of a Service: what the field ``protocol`` says is the
    application's protocol, and the port's own is UDP only if that is UDP. ``resolution`` is NONE,
    STATIC, DNS, DNS_ROUND_ROBIN or DYNAMIC_DNS. ``selector`` is None if endpoints are listed, and
    not selected by their labels.
    """

    kind: ClassVar[str] = "ServiceEntry"
    group: ClassVar[str] = ISTIO_NETWORKING_GROUP

    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    allocated: tuple[tuple[str, str], ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: str = "MESH_EXTERNAL"
    resolution: str = "NONE"
    endpoints: tuple[Workload, ...] = ()
    selector: Mapping[str, str] | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()
