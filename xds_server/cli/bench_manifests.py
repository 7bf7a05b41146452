"""The manifests of a generated mesh: N namespaces with a waypoint, M services each, P pods each.

``benchmarks/worlds.py`` makes the same objects without the detour over text; a test holds the two
together.
"""

from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]

_TARGET_PORT = 8080
_POLICY_RULES = 3


def manifests(namespace: int, services: int, pods: int, rules: int) -> Iterator[Manifest]:
    """All objects of one namespace, given its number; each route has ``rules`` rules."""
    home = f"ns-{namespace}"
    labels = {"istio.io/use-waypoint": "waypoint"}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": home, "labels": labels}}
    listener = {"name": "mesh", "port": 15008, "protocol": "HBONE"}
    spec = {"gatewayClassName": "istio-waypoint", "listeners": [listener]}
    yield _object("gateway.networking.k8s.io/v1", "Gateway", home, "waypoint", spec)
    for s in range(services):
        yield _service(home, namespace, s)
        for p in range(pods):
            yield _pod(home, namespace, s, p)
        yield _slice(home, namespace, s, pods)
        yield _route(home, s, rules)
        yield _policy(home, s)


def _object(api: str, kind: str, home: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": home},
        "spec": spec,
    }


def service_ip(namespace: int, s: int) -> str:
    """The virtual IP of a service, unique in the mesh."""
    if s < 250:
        return f"10.{namespace // 250 % 250}.{namespace % 250}.{s + 1}"
    return f"11.{namespace % 250}.{s // 250}.{s % 250 + 1}"


def pod_ip(namespace: int, s: int, p: int) -> str:
    """The address of a pod, unique in the mesh."""
    serial = (namespace * 1000 + s) * 50 + p
    return f"{20 + (serial >> 24)}.{serial >> 16 & 255}.{serial >> 8 & 255}.{serial & 255}"


def _service(home: str, namespace: int, s: int) -> Manifest:
    port = {"name": "http", "port": 80, "targetPort": _TARGET_PORT}
    address = service_ip(namespace, s)
    spec = {
        "clusterIP": address,
        "clusterIPs": [address],
        "ports": [port],
        "selector": {"app": f"svc-{s}"},
    }
    return _object("v1", "Service", home, f"svc-{s}", spec)


def _pod(home: str, namespace: int, s: int, p: int) -> Manifest:
    container = {"name": "app", "image": "app"}
    spec = {"serviceAccountName": f"svc-{s}", "containers": [container]}
    pod = _object("v1", "Pod", home, f"svc-{s}-{p}", spec)
    pod["metadata"]["labels"] = {"app": f"svc-{s}"}
    pod["metadata"]["annotations"] = {"ambient.istio.io/redirection": "enabled"}
    pod["status"] = {
        "phase": "Running",
        "podIPs": [{"ip": pod_ip(namespace, s, p)}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    return pod


def _slice(home: str, namespace: int, s: int, pods: int) -> Manifest:
    endpoints = [
        {
            "addresses": [pod_ip(namespace, s, p)],
            "targetRef": {"kind": "Pod", "name": f"svc-{s}-{p}"},
        }
        for p in range(pods)
    ]
    labels = {"kubernetes.io/service-name": f"svc-{s}"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"svc-{s}-a", "namespace": home, "labels": labels},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": _TARGET_PORT}],
    }


def _route(home: str, s: int, rules: int) -> Manifest:
    backend = {"name": f"svc-{s}", "port": 80}
    made = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": f"/path-{r}"}}],
            "backendRefs": [backend],
        }
        for r in range(rules)
    ]
    parent = {"group": "", "kind": "Service", "name": f"svc-{s}", "port": 80}
    spec = {"parentRefs": [parent], "rules": made}
    return _object("gateway.networking.k8s.io/v1", "HTTPRoute", home, f"svc-{s}", spec)


def _policy(home: str, s: int) -> Manifest:
    rules = [
        {
            "from": [{"source": {"principals": [f"cluster.local/ns/{home}/sa/client-{r}"]}}],
            "to": [{"operation": {"methods": ["GET"], "paths": [f"/path-{r}*"]}}],
        }
        for r in range(_POLICY_RULES)
    ]
    target = {"group": "", "kind": "Service", "name": f"svc-{s}"}
    spec = {"targetRefs": [target], "action": "ALLOW", "rules": rules}
    return _object("security.istio.io/v1", "AuthorizationPolicy", home, f"svc-{s}", spec)
