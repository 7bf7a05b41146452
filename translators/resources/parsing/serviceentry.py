"""Reading ServiceEntry and WorkloadEntry."""

from translators.resources.core import ServicePort
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.address import read_ip_ranges, require_ips
from translators.resources.parsing.fields import Fields
from translators.resources.serviceentry import ServiceEntry
from translators.resources.workloadentry import Workload, WorkloadEntry


def read_serviceentry(root: Fields, meta: Metadata) -> ServiceEntry:
    """A ServiceEntry with the addresses that its status reports."""
    spec, status = root.within("spec"), root.within("status")
    return ServiceEntry(
        meta,
        hosts=spec.texts("hosts", bounds.HOSTNAMES, bounds.NAME),
        addresses=read_ip_ranges(spec, "addresses", bounds.HOSTNAMES),
        allocated=status.each("addresses", bounds.HOSTNAMES, _read_allocated),
        ports=spec.each("ports", bounds.PORTS, _read_port),
        location=spec.text("location", "MESH_EXTERNAL"),
        resolution=spec.text("resolution", "NONE"),
        endpoints=spec.each("endpoints", bounds.ENDPOINTS, _read_workload),
        selector=spec.part("workloadSelector", lambda part: part.table("labels")),
        export_to=spec.texts("exportTo", bounds.HOSTNAMES),
        subject_alt_names=spec.texts("subjectAltNames", bounds.HOSTNAMES),
    )


def _read_allocated(fields: Fields) -> tuple[str, str]:
    found = require_ips(fields, "value", (fields.required("value"),))
    return fields.text("host"), next(iter(found), "")


def _read_port(fields: Fields) -> ServicePort:
    port, protocol = fields.port("number"), fields.text("protocol")
    is_udp = protocol.upper() == "UDP"
    return ServicePort(
        port=port,
        name=fields.required("name"),
        protocol="UDP" if is_udp else "TCP",
        app_protocol="" if is_udp else protocol.lower(),
        target_port=fields.port_or_none("targetPort") or port,
    )


def read_workloadentry(root: Fields, meta: Metadata) -> WorkloadEntry:
    """A WorkloadEntry."""
    conditions = root.within("status").each(
        "conditions", bounds.LABELS, lambda entry: (entry.text("type"), entry.text("status"))
    )
    return WorkloadEntry(
        meta, _read_workload(root.within("spec")), healthy=("Healthy", "False") not in conditions
    )


def _read_workload(fields: Fields) -> Workload:
    return Workload(
        address=fields.text("address"),
        ports=fields.ports("ports"),
        labels=fields.table("labels"),
        network=fields.text("network"),
        locality=fields.text("locality"),
        weight=fields.number("weight", 1, high=2**32 - 1) or 1,
        service_account=fields.text("serviceAccount"),
    )
