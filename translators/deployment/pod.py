"""The pod of a waypoint: stock Envoy, as little as it needs, and a way to end without harm."""

from typing import Any

from translators.deployment.settings import DeploymentSettings
from translators.ir.bootstrap import METRICS_PATH, READY_PATH, Bootstrap, Farewell, node_id
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.gateway import Gateway
from translators.xds.bootstrap import bootstrap
from translators.xds.farewell import farewell

Manifest = dict[str, Any]

METRICS_PORT = 15020
READY_PORT = 15021
HBONE_PORT = 15008

CONTAINER = "istio-proxy"
"""The container's name is Istio's, so that overlays written for Istio fit."""

_ENVOY = "/usr/local/bin/envoy"
_USER = 65532  # distroless images' "nonroot"
_GRACE_S = 10  # beyond draining: to start the hook, and to end
_START_S = 600  # that a pod may wait for its first configuration until it is started anew

_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"cpu": "2", "memory": "1Gi"},
}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsGroup": _USER,
    "runAsNonRoot": True,
    "runAsUser": _USER,
}


def pod_spec(mesh: Mesh, settings: DeploymentSettings, gateway: Gateway) -> Manifest:
    """The ``spec`` of a waypoint's pods."""
    return {
        "serviceAccountName": gateway.service_account or gateway.meta.name,
        "automountServiceAccountToken": False,  # it has one of its own, for xDS alone
        "terminationGracePeriodSeconds": settings.drain_s + _GRACE_S,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(mesh, settings, gateway)],
    }


def _container(mesh: Mesh, settings: DeploymentSettings, gateway: Gateway) -> Manifest:
    return {
        "name": CONTAINER,
        "image": settings.image,
        "command": [_ENVOY],
        "args": _arguments(mesh, settings, gateway),
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("INSTANCE_IP", "status.podIP"),
        ],
        "ports": [
            {"containerPort": METRICS_PORT, "name": "metrics", "protocol": "TCP"},
            {"containerPort": READY_PORT, "name": "status-port", "protocol": "TCP"},
            {"containerPort": HBONE_PORT, "name": "mesh", "protocol": "TCP"},
        ],
        # Envoy takes connections there once its first configuration is accepted.
        "startupProbe": {
            "tcpSocket": {"port": HBONE_PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": _START_S,
        },
        "readinessProbe": {
            "httpGet": {"path": READY_PATH, "port": READY_PORT, "scheme": "HTTP"},
            "periodSeconds": 5,
            "timeoutSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 2,
        },
        "lifecycle": {"preStop": {"exec": {"command": _farewell(settings)}}},
        "resources": _RESOURCES,
        "securityContext": _CONTAINER_SECURITY,
    }


def _arguments(mesh: Mesh, settings: DeploymentSettings, gateway: Gateway) -> list[str]:
    """Envoy's arguments; the kubelet puts values for what stands in ``$()``."""
    waypoint = WaypointName(gateway.meta.namespace, gateway.meta.name)
    pod = WaypointName(waypoint.namespace, "$(POD_NAME)")
    node = Bootstrap(
        waypoint,
        node_id(pod, "$(INSTANCE_IP)", mesh.cluster_domain),
        settings.xds,
        ready=f"0.0.0.0:{READY_PORT}",
        metrics=f"0.0.0.0:{METRICS_PORT}",
    )
    return [
        *("--config-yaml", bootstrap(node).to_json()),
        *("--concurrency", str(settings.concurrency)),
        *("--drain-time-s", str(settings.drain_s)),
        *("--log-level", "warning"),
        "--disable-hot-restart",
    ]


def _farewell(settings: DeploymentSettings) -> list[str]:
    """Tells Envoy to drain, and returns when it has had its time: only then it is ended."""
    return [
        _ENVOY,
        *("--config-yaml", farewell(Farewell(settings.drain_s)).to_json()),
        *("--concurrency", "1"),
        *("--log-level", "error"),
        "--disable-hot-restart",
    ]


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def pod_annotations(settings: DeploymentSettings) -> dict[str, str]:
    """What is said of every pod: who runs it, and where its metrics are."""
    return {
        "istio.io/rev": settings.revision,
        "prometheus.io/path": METRICS_PATH,
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/scrape": "true",
    }
