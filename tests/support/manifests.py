"""Manifests as a user would write them, and the folder that they are written into."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Manifest = Mapping[str, Any]

WAYPOINT = "waypoint"
"""The name of every namespace's waypoint."""

HTTP, H2C, TCP, BANNER = 8080, 8081, 9001, 9000
"""The ports of an echo pod; the last speaks first."""

DECLARED: Sequence[tuple[str, int, int]] = (
    ("http", 80, HTTP),
    ("grpc", 81, H2C),
    ("tcp", 90, TCP),
    ("tcp-banner", 91, BANNER),
)
"""Ports that say what they speak: name, port, target port."""

PORTS: Sequence[tuple[str, int, int]] = (
    *DECLARED,
    ("web", 8000, HTTP),
    ("raw", 9000, BANNER),
    ("quiet", 9001, TCP),
)
"""What services offer; the last three declare no protocol."""


class _Plain(yaml.SafeDumper):
    """Writes out what occurs twice, as people do; anchors are none of Kubernetes' YAML."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class ManifestFolder:
    """A folder that is edited as careful tools do it: a file is complete from its first moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, *manifests: Manifest) -> None:
        """Write or replace the file ``name``.yaml."""
        self.put_text(name, yaml.dump_all(manifests, Dumper=_Plain))

    def put_text(self, name: str, text: str) -> None:
        """Write or replace the file ``name``.yaml with any text."""
        draft = self.root / f".{name}.draft"
        draft.write_text(text)
        draft.replace(self.root / f"{name}.yaml")

    def remove(self, name: str) -> None:
        """Remove the file ``name``.yaml."""
        (self.root / f"{name}.yaml").unlink()


def namespace(name: str) -> Manifest:
    """A namespace whose services are reached through its waypoint."""
    labels = {"istio.io/use-waypoint": WAYPOINT}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def gateway(namespace: str, traffic: str = "", allowed: str = "Same") -> Manifest:
    """The waypoint of a namespace; ``traffic`` is what it is for, if it says so.

    ``allowed`` tells from which namespaces, as ``allowedRoutes`` does.
    """
    routes = {"namespaces": {"from": allowed}}
    listener = {"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": routes}
    labels = {"istio.io/waypoint-for": traffic} if traffic else {}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": WAYPOINT, "namespace": namespace, "labels": labels},
        "spec": {"gatewayClassName": "istio-waypoint", "listeners": [listener]},
    }


def service(
    name: str,
    namespace: str,
    ip: str,
    selector: Mapping[str, str],
    ports: Sequence[tuple[str, int, int]] = PORTS,
) -> Manifest:
    """A service at a virtual IP."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": ip,
            "clusterIPs": [ip],
            "selector": dict(selector),
            "ports": [
                {"name": name, "port": port, "targetPort": target} for name, port, target in ports
            ],
        },
    }


def service_entry(name: str, namespace: str, host: str, **spec: Any) -> Manifest:
    """A ServiceEntry of one host, with the HTTP port 80 of echo pods unless it says otherwise."""
    http = {"number": 80, "name": "http", "protocol": "HTTP", "targetPort": HTTP}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hosts": [host], "ports": [http], **spec},
    }


def workload_entry(
    name: str, namespace: str, address: str, labels: Mapping[str, str], *, captured: bool = True
) -> Manifest:
    """A workload with the service account of pods; ``captured`` ones are reached through HBONE."""
    annotations = {"ambient.istio.io/redirection": "enabled"} if captured else {}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"address": address, "labels": dict(labels), "serviceAccount": "app"},
    }


def pod(
    name: str,
    namespace: str,
    ip: str,
    labels: Mapping[str, str],
    *,
    captured: bool = True,
    service_account: str = "app",
) -> Manifest:
    """A ready pod; ``captured`` ones are reached through HBONE."""
    annotations = {"ambient.istio.io/redirection": "enabled"} if captured else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels),
            "annotations": annotations,
        },
        "spec": {"serviceAccountName": service_account, "containers": [{"name": "app"}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def route(
    name: str, namespace: str, service: str, *rules: Manifest, port: int | None = None
) -> Manifest:
    """An HTTPRoute of a service, or of one of its ports."""
    parent: dict[str, Any] = {"group": "", "kind": "Service", "name": service}
    if port is not None:
        parent["port"] = port
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": list(rules)},
    }


def route_of(
    kind: str, name: str, namespace: str, service: str, *rules: Manifest, **more: Any
) -> Manifest:
    """A route of any kind. ``more``: other fields of its spec, or of its parent by ``parent``."""
    version = "v1alpha2" if kind == "TCPRoute" else "v1"
    parent = {"group": "", "kind": "Service", "name": service, **more.pop("parent", {})}
    return {
        "apiVersion": f"gateway.networking.k8s.io/{version}",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": list(rules), **more},
    }


def grant(home: str, kind: str, client: str) -> Manifest:
    """A ReferenceGrant: routes of a kind and namespace may refer to services of ``home``."""
    source = {"group": "gateway.networking.k8s.io", "kind": kind, "namespace": client}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": f"{client}-{kind}".lower(), "namespace": home},
        "spec": {"from": [source], "to": [{"group": "", "kind": "Service"}]},
    }


def rule(*matches: Manifest, to: Sequence[Manifest] = (), **more: Any) -> Manifest:
    """A rule of an HTTPRoute; ``to`` are its backends."""
    given = {"matches": list(matches)} if matches else {}
    return {**given, "backendRefs": list(to), **more}


def backend(service: str, weight: int = 1, port: int = 80, **more: Any) -> Manifest:
    """A backend of a rule."""
    return {"name": service, "port": port, "weight": weight, **more}


def path(value: str, kind: str = "PathPrefix") -> Manifest:
    """A match of a path."""
    return {"path": {"type": kind, "value": value}}


def policy(
    name: str,
    namespace: str,
    *rules: Manifest,
    action: str = "ALLOW",
    service: str | None = None,
    gateway: str | None = None,
) -> Manifest:
    """An AuthorizationPolicy that targets a service, or a waypoint."""
    if gateway is None:
        target = {"group": "", "kind": "Service", "name": service}
    else:
        target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targetRefs": [target], "action": action, "rules": list(rules)},
    }


def allows(source: Manifest | None = None, operation: Manifest | None = None) -> Manifest:
    """A rule of an AuthorizationPolicy: from one source, to one operation."""
    parts: dict[str, Any] = {}
    if source is not None:
        parts["from"] = [{"source": source}]
    if operation is not None:
        parts["to"] = [{"operation": operation}]
    return parts
