"""What runs Deployments in a cluster, as far as waypoints need it: on loopback, with real Envoys.

There are no namespaces of the kernel here, so what a pod would have for itself is written into
its commands and files: its addresses (its own loopback too) become one address of 127.0.0.0/8, and
the paths of its volumes become paths of a folder. Everything else is run as the Deployment says.
"""

import asyncio
import http.client
import json
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tests.support.envoyproc import ENVOY
from tests.support.kubeapi import KubeApi
from tests.support.kubeapi.store import Object

_POLL_S = 0.05
_MANAGED = "gateway.istio.io/managed"


class Pod:
    """A pod of one container, which is Envoy."""

    def __init__(self, kubelet: "Kubelet", owner: Object, template_hash: str, name: str) -> None:
        self.name = name
        self.template_hash = template_hash
        self.owner = owner["metadata"]["uid"]
        self.namespace = owner["metadata"]["namespace"]
        self.template = owner["spec"]["template"]
        self.ip = next(kubelet.ips)
        self.is_ready = False
        self.is_ending = False
        self.farewell: int | None = None  # the exit code of the preStop hook
        self._kubelet = kubelet
        self._folder = kubelet.folder / name
        self._process: subprocess.Popen[bytes] | None = None
        self.task = asyncio.create_task(self._run())

    @property
    def log(self) -> str:
        """What Envoy said."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.template["spec"]["containers"][0]
        return found

    async def _run(self) -> None:
        while not self._mount():  # noqa: ASYNC110  # the API server sets no event
            await asyncio.sleep(_POLL_S)
        container = self.container
        assert container["command"] == ["/usr/local/bin/envoy"]
        with (self._folder / "log").open("wb") as log:
            command = [str(ENVOY), *map(self._here, container["args"])]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
        self.report()
        while not await asyncio.to_thread(self._probe, container["startupProbe"]):
            assert self._process.poll() is None, self.log
            await asyncio.sleep(_POLL_S)
        while self._process.poll() is None:
            ready = await asyncio.to_thread(self._probe, container["readinessProbe"])
            if ready != self.is_ready:
                self.is_ready = ready
                self.report()
            await asyncio.sleep(_POLL_S)

    def _mount(self) -> bool:
        """Write the volumes; False if something that they need is not there yet."""
        self._folder.mkdir(parents=True, exist_ok=True)
        account = self.template["spec"]["serviceAccountName"]
        found = self._kubelet.find("", "serviceaccounts", self.namespace, account)
        if found is None:
            return False
        for volume in self.template["spec"].get("volumes", ()):
            files = self._files(volume, found)
            if files is None:
                return False
            folder = self._folder / volume["name"]
            folder.mkdir(exist_ok=True)
            for name, content in files.items():
                (folder / name).write_text(self._paths(content))
        return True

    def _files(self, volume: dict[str, Any], account: Object) -> Mapping[str, str] | None:
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            found = self._kubelet.find("", "configmaps", self.namespace, name)
            return found["data"] if found else None
        [source] = volume["projected"]["sources"]
        token = source["serviceAccountToken"]
        issued = self._kubelet.api.access.issue_token(account, [token["audience"]])
        return {token["path"]: issued}

    def _paths(self, text: str) -> str:
        for mount in self.container.get("volumeMounts", ()):
            text = text.replace(mount["mountPath"], str(self._folder / mount["name"]))
        return text

    def _here(self, text: str) -> str:
        """An argument as it is on this machine, its variables replaced as the kubelet does it."""
        text = re.sub(r"\$\((\w+)\)", lambda found: self._variables()[found[1]], self._paths(text))
        text = text.replace("0.0.0.0", self.ip).replace("127.0.0.1", self.ip)
        for name, ip in self._kubelet.names.items():
            text = text.replace(f'"address": "{name}"', f'"address": "{ip}"')
        return text

    def _variables(self) -> dict[str, str]:
        fields = {
            "metadata.name": self.name,
            "metadata.namespace": self.namespace,
            "status.podIP": self.ip,
        }
        return {
            each["name"]: each["value"]
            if "value" in each
            else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            for each in self.container["env"]
        }

    def _probe(self, probe: dict[str, Any]) -> bool:
        with suppress(OSError, http.client.HTTPException):
            if "tcpSocket" in probe:
                socket.create_connection((self.ip, probe["tcpSocket"]["port"]), 1).close()
                return True
            status, _ = self.get(probe["httpGet"]["port"], probe["httpGet"]["path"])
            return status == 200
        return False

    def get(self, port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask a port of the pod, as anybody in the cluster can."""
        connection = http.client.HTTPConnection(self.ip, port, timeout=1)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def report(self) -> None:
        """Tell the API server how it is."""
        metadata = self.template["metadata"]
        status = "True" if self.is_ready else "False"
        spec = self.template["spec"]
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": metadata["labels"],
                "annotations": metadata.get("annotations", {}),
            },
            "spec": spec,
            "status": {
                "phase": "Running",
                "podIP": self.ip,
                "podIPs": [{"ip": self.ip}],
                "conditions": [{"type": "Ready", "status": status}],
            },
        }
        self._kubelet.api.put(manifest)

    async def end(self) -> None:
        """Terminate it as kubelets do: the hook, then SIGTERM, then it is no more."""
        self.is_ending = True
        self._kubelet.publish()
        if self._process is not None and self._process.poll() is None:
            hook = self.container["lifecycle"]["preStop"]["exec"]["command"]
            grace = self.template["spec"]["terminationGracePeriodSeconds"]
            self.farewell = await asyncio.to_thread(self._hook, hook, grace)
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait, 10)
        self.kill()
        found = self._kubelet.find("", "pods", self.namespace, self.name)
        if found is not None:
            self._kubelet.api.remove(found)

    def _hook(self, command: list[str], grace: float) -> int:
        assert command[0] == "/usr/local/bin/envoy"
        here = [str(ENVOY), *map(self._here, command[1:])]
        with (self._folder / "hook").open("wb") as log:
            return subprocess.run(
                here, stdout=log, stderr=log, timeout=grace, check=False
            ).returncode

    def kill(self) -> None:
        """End it at once."""
        self.task.cancel()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Kubelet:
    """Runs the Deployments of waypoints; ``names`` are what the cluster's DNS knows."""

    def __init__(
        self, api: KubeApi, folder: Path, ips: Iterator[str], names: Mapping[str, str]
    ) -> None:
        self.api = api
        self.folder = folder
        self.ips = ips
        self.names = names
        self.pods: dict[str, Pod] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def find(self, group: str, plural: str, namespace: str, name: str) -> Object | None:
        """An object."""
        return self.api.store.get((group, plural), (namespace, name))

    def of(self, namespace: str, name: str = "waypoint") -> list[Pod]:
        """The pods of a Deployment that are not about to end."""
        found = self.find("apps", "deployments", namespace, name)
        uid = found["metadata"]["uid"] if found else ""
        return [pod for pod in self.pods.values() if pod.owner == uid and not pod.is_ending]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            deployments = self.api.store.all(("apps", "deployments"))
            for each in deployments:
                self._roll(each)
            owners = {each["metadata"]["uid"] for each in deployments}
            for pod in list(self.pods.values()):
                if pod.owner not in owners:
                    self._end(pod)
                elif pod.task.done() and not pod.task.cancelled():
                    pod.task.result()
            self.publish()
            await asyncio.sleep(_POLL_S)

    def _roll(self, deployment: Object) -> None:
        """A rolling update: new pods first, old ones go when the new ones are ready."""
        content = json.dumps(deployment["spec"]["template"], sort_keys=True).encode()
        template_hash = blake2b(content, digest_size=4).hexdigest()
        count = deployment["spec"].get("replicas", 1)
        metadata = deployment["metadata"]
        mine = self.of(metadata["namespace"], metadata["name"])
        current = [pod for pod in mine if pod.template_hash == template_hash]
        for _ in range(count - len(current)):
            name = f"{metadata['name']}-{template_hash}-{len(self.pods)}"
            self.pods[name] = Pod(self, deployment, template_hash, name)
        for pod in current[count:]:
            self._end(pod)
        ready = sum(pod.is_ready for pod in current)
        if ready >= count:
            for pod in mine:
                if pod.template_hash != template_hash:
                    self._end(pod)
        status = {"replicas": len(mine), "readyReplicas": ready, "availableReplicas": ready}
        if deployment.get("status") != status:
            self.api.put({**deployment, "status": status})

    def _end(self, pod: Pod) -> None:
        if not pod.is_ending:
            pod.is_ending = True
            task = asyncio.create_task(self._ended(pod))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _ended(self, pod: Pod) -> None:
        await pod.end()
        del self.pods[pod.name]

    def publish(self) -> None:
        """Tell in EndpointSlices which pods serve the Services of waypoints."""
        for service in self.api.store.all(("", "services")):
            if _MANAGED in service["metadata"].get("labels", {}):
                self._publish(service)

    def _publish(self, service: Object) -> None:
        metadata = service["metadata"]
        wanted = service["spec"]["selector"].items()
        pods = [
            pod
            for pod in self.pods.values()
            if pod.namespace == metadata["namespace"]
            and wanted <= pod.template["metadata"]["labels"].items()
        ]
        manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{metadata['name']}-1",
                "namespace": metadata["namespace"],
                "labels": {"kubernetes.io/service-name": metadata["name"]},
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "kind": "Service",
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                    }
                ],
            },
            "addressType": "IPv4",
            "ports": [
                {"name": each["name"], "port": each["targetPort"], "protocol": "TCP"}
                for each in service["spec"]["ports"]
            ],
            "endpoints": [_endpoint(pod) for pod in pods],
        }
        name = manifest["metadata"]["name"]
        known = self.find("discovery.k8s.io", "endpointslices", metadata["namespace"], name)
        if known is None or known["endpoints"] != manifest["endpoints"]:
            self.api.put(manifest)

    def stop(self) -> None:
        """End everything at once."""
        for task in self._ending:
            task.cancel()
        for pod in self.pods.values():
            pod.kill()


def _endpoint(pod: Pod) -> dict[str, Any]:
    return {
        "addresses": [pod.ip],
        "conditions": {
            "ready": pod.is_ready and not pod.is_ending,
            "serving": pod.is_ready,
            "terminating": pod.is_ending,
        },
        "targetRef": {"kind": "Pod", "name": pod.name, "namespace": pod.namespace},
    }


@asynccontextmanager
async def kubelet(
    api: KubeApi, folder: Path, ips: Iterator[str], names: Mapping[str, str]
) -> AsyncIterator[Kubelet]:
    """A stand-in that runs until the end, and then leaves no Envoy behind."""
    made = Kubelet(api, folder, ips, names)
    running = asyncio.create_task(made.run())
    try:
        yield made
        if running.done():
            running.result()  # it has failed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        made.stop()
