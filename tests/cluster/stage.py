"""A cluster with a control plane, and something that runs the pods of waypoints."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.cluster.conftest import Kube
from tests.support.certs import CertFolder
from tests.support.fleet import EchoFleet
from tests.support.kubeapi import KubeApi
from tests.support.kubeapi.client import Client
from tests.support.kubelet import Kubelet, kubelet
from tests.support.loopback import LoopbackNet, free_port
from tests.support.manifests import HTTP
from tests.support.relay import relay
from tests.support.replica import Replica, replica
from translators.deployment import DeploymentSettings
from xds_server.demo.echo import EchoApp

XDS = "waypost.istio-system.svc"
DRAIN_S = 3
CLIENT, V1, V2, SERVICE, SECOND = 149, 140, 141, 142, 143
"""Host numbers: of clients, of pods, of the control plane's Service, of its second replica."""
WEB = "10.96.7.1:80"

NAMESPACE = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: service}}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
"""
RULES = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: web, port: 80}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v2}}]
    backendRefs: [{name: web-v2, port: 80}]
  - backendRefs: [{name: web, port: 80}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: web}]
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/friend]}}]
    to: [{operation: {methods: [GET]}}]
"""


def service(name: str, address: str, version: str) -> str:
    """The manifest of a Service."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  clusterIP: {address}
  selector: {{app: web, version: {version}}}
  ports: [{{name: http, port: 80, targetPort: {HTTP}}}]
"""


SERVICES = service("web", "10.96.7.1", "v1") + "---" + service("web-v2", "10.96.7.2", "v2")


class Stage:
    """What people do, and what comes of it."""

    def __init__(
        self, api: KubeApi, kube: Kube, pods: Kubelet, one: Replica, settings: DeploymentSettings
    ) -> None:
        self.api = api
        self.pods = pods
        self.one = one
        self.settings = settings
        self._kube = kube

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """What it prints. Raises AssertionError if it fails."""
        code, output = await self._kube.kubectl(*arguments, stdin=stdin)
        assert code == 0, output
        return output

    async def apply(self, *texts: str) -> None:
        """``kubectl apply``, one text after another."""
        for text in texts:
            await self.kubectl("apply", "-f", "-", stdin=text)

    async def programmed(self) -> None:
        """Wait for the waypoint as people do."""
        what = ("--for=condition=programmed", "gateway/waypoint", "--timeout=30s")
        await self.kubectl("wait", *what)

    def gateway(self) -> Mapping[str, Any]:
        """The Gateway as it is."""
        key = ("gateway.networking.k8s.io", "gateways")
        found = self.api.store.get(key, ("shop", "waypoint"))
        assert found is not None
        return found


def workload(name: str, ip: str, version: str) -> dict[str, Any]:
    """An echo pod as a cluster reports it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"app": "web", "version": version},
        },
        "spec": {"serviceAccountName": "web", "containers": [{"name": "app", "image": "echo"}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


@asynccontextmanager
async def stage(
    folder: Path, certs: CertFolder, net: LoopbackNet, fleet: EchoFleet
) -> AsyncIterator[Stage]:
    """Everything runs; there are no objects yet but those that every cluster has."""
    port = free_port("127.0.0.1")
    settings = DeploymentSettings(f"{XDS}:{port}", concurrency=1, drain_s=DRAIN_S)
    ips = (net.ip(host) for host in count(200))
    async with KubeApi(("gateway-api-standard", "istio")) as api:
        api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})
        client = Client(api.url)
        kube = Kube(client, "shop", api.write_kubeconfig(folder / "kubectl"), api)
        for host, version in ((V1, "v1"), (V2, "v2")):
            fleet.add(EchoApp("web", version, net.ip(host), (HTTP,)))
        try:
            async with (
                replica(api, folder, certs.authority, deploys=settings) as one,
                relay((net.ip(SERVICE), port), ("127.0.0.1", port), (net.ip(SECOND), port)),
                kubelet(api, folder / "pods", ips, {XDS: net.ip(SERVICE)}) as pods,
            ):
                yield Stage(api, kube, pods, one, settings)
        finally:
            await client.close()
            for host in (V1, V2):
                fleet.remove(net.ip(host))


async def set_scene(stage: Stage, net: LoopbackNet) -> None:
    """A namespace with two versions of an application, enrolled in its waypoint."""
    await stage.apply(NAMESPACE)
    await stage.kubectl("label", "namespace", "shop", "istio.io/dataplane-mode=ambient")
    await stage.kubectl("label", "namespace", "shop", "istio.io/use-waypoint=waypoint")
    for name, host, version in (("web-1", V1, "v1"), ("web-2", V2, "v2")):
        stage.api.put(workload(name, net.ip(host), version))
    await stage.apply(SERVICES)
