"""Reading Namespace, Service and Pod."""

from itertools import chain

from translators.resources.core import (
    ContainerPort,
    Namespace,
    Node,
    Pod,
    Service,
    ServicePort,
)
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.address import read_ips, require_ips
from translators.resources.parsing.fields import Fields


def read_namespace_object(_root: Fields, meta: Metadata) -> Namespace:
    """A Namespace."""
    return Namespace(meta)


def read_node(_root: Fields, meta: Metadata) -> Node:
    """A Node: its name and place. The rest, which changes all the time, is left out."""
    labels = meta.labels
    return Node(
        Metadata(meta.name),
        region=labels.get("topology.kubernetes.io/region", ""),
        zone=labels.get("topology.kubernetes.io/zone", ""),
        subzone=labels.get("topology.istio.io/subzone", ""),
    )


def read_service(root: Fields, meta: Metadata) -> Service:
    """A Service."""
    spec = root.within("spec")
    headless = spec.text("clusterIP") == "None"
    return Service(
        meta,
        type=spec.text("type", "ClusterIP"),
        cluster_ips=() if headless else _read_cluster_ips(spec),
        headless=headless,
        external_name=spec.text("externalName"),
        ports=spec.each("ports", bounds.PORTS, _read_service_port),
        selector=spec.table("selector"),
        publish_not_ready=spec.flag("publishNotReadyAddresses"),
        internal_traffic_policy=spec.text("internalTrafficPolicy", "Cluster"),
        traffic_distribution=spec.text("trafficDistribution"),
    )


def _read_cluster_ips(spec: Fields) -> tuple[str, ...]:
    if spec.raw("clusterIPs"):
        return read_ips(spec, "clusterIPs", limit=2)
    only = spec.text("clusterIP")
    return require_ips(spec, "clusterIP", (only,)) if only else ()


def _read_service_port(fields: Fields) -> ServicePort:
    port = fields.port()
    return ServicePort(
        port=port,
        name=fields.text("name"),
        protocol=fields.text("protocol", "TCP"),
        app_protocol=fields.text("appProtocol"),
        target_port=_read_target_port(fields) or port,
    )


def _read_target_port(fields: Fields) -> int | str | None:
    if isinstance(fields.raw("targetPort"), str):
        return fields.text("targetPort")
    return fields.port_or_none("targetPort")


def read_pod(root: Fields, meta: Metadata) -> Pod:
    """A Pod. Its readiness is the condition ``Ready``, true if it has no conditions at all."""
    spec, status = root.within("spec"), root.within("status")
    return Pod(
        meta,
        ips=_read_pod_ips(status),
        node=spec.text("nodeName"),
        service_account=spec.text("serviceAccountName") or "default",
        host_network=spec.flag("hostNetwork"),
        ports=_read_container_ports(spec),
        phase=status.text("phase"),
        ready=_is_ready(status),
        terminating=root.within("metadata").raw("deletionTimestamp") is not None,
    )


def _read_pod_ips(status: Fields) -> tuple[str, ...]:
    if status.raw("podIPs"):
        listed = status.each("podIPs", 16, lambda entry: entry.required("ip"))
        return require_ips(status, "podIPs", listed)
    only = status.text("podIP")
    return require_ips(status, "podIP", (only,)) if only else ()


def _read_container_ports(spec: Fields) -> tuple[ContainerPort, ...]:
    """The named ports of all containers that run beside each other (sidecars are such)."""
    containers = spec.each("containers", bounds.CONTAINERS, _read_ports)
    sidecars = spec.each("initContainers", bounds.CONTAINERS, _read_sidecar_ports)
    return tuple(port for port in chain(*containers, *sidecars) if port.name)


def _read_ports(container: Fields) -> tuple[ContainerPort, ...]:
    return container.each("ports", bounds.PORTS, _read_container_port)


def _read_sidecar_ports(container: Fields) -> tuple[ContainerPort, ...]:
    return _read_ports(container) if container.text("restartPolicy") == "Always" else ()


def _read_container_port(fields: Fields) -> ContainerPort:
    return ContainerPort(
        name=fields.text("name"),
        port=fields.port("containerPort"),
        protocol=fields.text("protocol", "TCP"),
    )


def _is_ready(status: Fields) -> bool:
    conditions = status.each(
        "conditions", bounds.LABELS, lambda entry: (entry.text("type"), entry.text("status"))
    )
    return not conditions or ("Ready", "True") in conditions
