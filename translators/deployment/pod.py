"""The pod of a waypoint: stock Envoy, as little as it needs, and a way to end without harm."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from translators.deployment.settings import DeploymentSettings
from translators.ir.bootstrap import (
    METRICS_PATH,
    READY_PATH,
    Bootstrap,
    Drainer,
    SecureStream,
    TokenFile,
    node_id,
)
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.gateway import Gateway
from translators.xds.address import split_address
from translators.xds.bootstrap import bootstrap, companions
from translators.xds.drainer import drainer

Manifest = dict[str, Any]

METRICS_PORT = 15020
READY_PORT = 15021
HBONE_PORT = 15008

_CONTAINER = "istio-proxy"
"""The container's name is Istio's, so that overlays written for Istio fit."""

CONFIG_MAP = "waypost-ca-root-cert"
"""The ConfigMap with the roots that Envoys know their control plane by."""

ROOTS_FILE = "root-cert.pem"

_XDS_FOLDER = "/etc/waypost/xds"
_TOKEN_FOLDER = "/var/run/secrets/waypost"  # noqa: S105  # it is a folder
_TOKEN = "xds-token"  # noqa: S105  # it is a file
_TOKEN_S = 43_200  # seconds that a token is good for; the kubelet renews it before
_ENVOY = "/usr/local/bin/envoy"
_USER = 65532  # distroless images' "nonroot"
_GRACE_S = 10  # beyond draining: to start the hook, and to end
_ANY_REVISION = "default"
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


def prepare(mesh: Mesh, settings: DeploymentSettings) -> None:
    """Make the texts that all pods share, which takes most of a second the first time."""
    _arguments(mesh.cluster_domain, settings)
    _drainer(settings.drain_s)
    roots_files(settings)


def pod_spec(mesh: Mesh, settings: DeploymentSettings, gateway: Gateway) -> Manifest:
    """The ``spec`` of a waypoint's pods."""
    return {
        "serviceAccountName": gateway.service_account or gateway.meta.name,
        "automountServiceAccountToken": False,  # it has one of its own, for xDS alone
        "terminationGracePeriodSeconds": settings.drain_s + _GRACE_S,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(mesh, settings, gateway)],
        "volumes": [_roots_volume(), _token_volume(settings.audience)],
    }


def _container(mesh: Mesh, settings: DeploymentSettings, gateway: Gateway) -> Manifest:
    return {
        "name": _CONTAINER,
        "image": settings.image,
        "command": [_ENVOY],
        "args": list(_arguments(mesh.cluster_domain, settings)),
        "env": [
            {"name": "GATEWAY_NAME", "value": gateway.meta.name},
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
        "lifecycle": {"preStop": {"exec": {"command": list(_drainer(settings.drain_s))}}},
        "resources": _RESOURCES,
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "xds", "mountPath": _XDS_FOLDER, "readOnly": True},
            {"name": "xds-token", "mountPath": _TOKEN_FOLDER, "readOnly": True},
        ],
    }


def _roots_volume() -> Manifest:
    """How to know the control plane. The pod waits until it is there."""
    return {"name": "xds", "configMap": {"name": CONFIG_MAP}}


def _token_volume(audience: str) -> Manifest:
    """What to show to the control plane, and to nobody else."""
    token = {"path": _TOKEN, "audience": audience, "expirationSeconds": _TOKEN_S}
    return {"name": "xds-token", "projected": {"sources": [{"serviceAccountToken": token}]}}


@cache
def _arguments(cluster_domain: str, settings: DeploymentSettings) -> tuple[str, ...]:
    """Envoy's arguments, the same for all waypoints: writing them takes a tenth of a second.

    The kubelet puts the values of the container's environment for what stands in ``$()``.
    """
    waypoint = WaypointName("$(POD_NAMESPACE)", "$(GATEWAY_NAME)")
    pod = WaypointName("$(POD_NAMESPACE)", "$(POD_NAME)")
    node = Bootstrap(
        waypoint,
        node_id(pod, "$(INSTANCE_IP)", cluster_domain),
        settings.xds,
        ready=f"0.0.0.0:{READY_PORT}",
        metrics=f"0.0.0.0:{METRICS_PORT}",
        secure=_stream(settings),
    )
    return (
        *("--config-yaml", bootstrap(node).to_json()),
        *("--concurrency", str(settings.concurrency)),
        *("--drain-time-s", str(settings.drain_s)),
        *("--log-level", "warning"),
        "--disable-hot-restart",
    )


def _stream(settings: DeploymentSettings) -> SecureStream:
    """How Envoys and their control plane know each other."""
    return SecureStream(
        server=split_address(settings.xds)[0],
        roots=f"{_XDS_FOLDER}/{ROOTS_FILE}",
        credential=TokenFile(f"{_TOKEN_FOLDER}/{_TOKEN}"),
        folder=_XDS_FOLDER,
    )


@cache
def roots_files(settings: DeploymentSettings) -> Mapping[str, str]:
    """What goes with the roots: file names and contents."""
    return companions(_stream(settings))


@cache
def _drainer(drain_s: int) -> tuple[str, ...]:
    """Tells Envoy to drain, and returns when it has had its time: only then it is ended."""
    return (
        _ENVOY,
        *("--config-yaml", drainer(Drainer(drain_s)).to_json()),
        *("--concurrency", "1"),
        *("--log-level", "error"),
        "--disable-hot-restart",
    )


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def pod_annotations(mesh: Mesh) -> dict[str, str]:
    """What is said of every pod: who runs it, and where its metrics are."""
    return {
        "istio.io/rev": mesh.revision or _ANY_REVISION,
        "prometheus.io/path": METRICS_PATH,
        "prometheus.io/port": str(METRICS_PORT),
        "prometheus.io/scrape": "true",
    }
