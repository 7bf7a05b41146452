"""WorkloadEntry (networking.istio.io): a workload that is no Pod."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from translators.resources.metadata import KubernetesObject

ISTIO_NETWORKING_GROUP = "networking.istio.io"


@dataclass(frozen=True, slots=True)
class Workload:
    """Where a workload is. ``address`` is an IP address, a host name or ``unix://`` path.

    ``ports`` map names of service ports to the workload's own; ``locality`` is
    ``region/zone/subzone``.
    """

    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: int = 1
    service_account: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadEntry(KubernetesObject):
    """A WorkloadEntry. ``healthy`` is false if a health check has failed, as its status says."""

    kind: ClassVar[str] = "WorkloadEntry"
    group: ClassVar[str] = ISTIO_NETWORKING_GROUP

    workload: Workload = field(default_factory=Workload)
    healthy: bool = True
