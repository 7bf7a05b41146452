"""The server: a loopback port, what goes in and out of it, and its life."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import aiohttp
import yaml
from aiohttp import web

from tests.support.kubeapi.cluster import Cluster, Write
from tests.support.kubeapi.discovery import discover
from tests.support.kubeapi.errors import ApiError
from tests.support.kubeapi.faults import Action, Answer, Delay, Drop, ErrorEvent, Faults
from tests.support.kubeapi.handlers import Handlers
from tests.support.kubeapi.kinds import CRD_KIND
from tests.support.kubeapi.patches import APPLY_PATCH
from tests.support.kubeapi.rbac import Attempt
from tests.support.kubeapi.reviews import Access, Identity
from tests.support.kubeapi.routing import ProxyPath, Target, read_proxy_path, route
from tests.support.kubeapi.store import Object, Store
from xds_server.validation.schemas import load_crds

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """A request that came in. ``time`` is that of the monotonic clock, in seconds."""

    time: float
    verb: str
    resource: str
    namespace: str


class KubeApi:
    """A Kubernetes API server on a loopback port.

    ``crds`` are the sets of CustomResourceDefinitions to begin with (``gateway-api-standard``,
    ``gateway-api-experimental``, ``istio``), ``log_size`` is how many changes watches can go
    back, ``bookmarks_s`` how often they get a bookmark, and ``watch_list`` whether they may ask
    for initial events. ``pod_addresses`` are where the ports of pods really are, by namespace and
    ``name:port``, for requests to ``pods/proxy``. Objects outlive ``stop``, and ``start`` takes
    the same port again.
    """

    def __init__(
        self,
        crds: Iterable[str] = (),
        *,
        log_size: int = 10_000,
        bookmarks_s: float = 0.5,
        watch_list: bool = True,
        seed: int = 0,
    ) -> None:
        self.store = Store(log_size)
        self.cluster = Cluster(self.store)
        self.access = Access(self.store)
        self.faults = Faults(seed)
        self.requests: list[Request] = []
        self.pod_addresses: dict[tuple[str, str], str] = {}
        self._handlers = Handlers(self.cluster, self.access, bookmarks_s, watch_list=watch_list)
        self._runner: web.ServerRunner | None = None
        self._open: set[asyncio.BaseTransport] = set()
        self._port = 0
        for name in crds:
            for crd in load_crds(name):
                self.cluster.create(Write(CRD_KIND, "v1", "", "setup"), dict(crd))

    @property
    def url(self) -> str:
        """The address, once started."""
        return f"http://{_HOST}:{self._port}"

    async def __aenter__(self) -> "KubeApi":
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen: on a free port at first, and on that again after ``stop``."""
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        # Not 0, which means to wait for every watch that began a moment ago.
        self._runner = web.ServerRunner(server, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections, and reset those that are open, as in an outage."""
        if self._runner is not None:
            self.reset_connections()
            await self._runner.cleanup()
            self._runner = None

    def reset_connections(self) -> None:
        """Reset all requests under way, watches among them; go on listening."""
        for transport in list(self._open):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()

    def put(self, manifest: Object) -> Object:
        """Create or replace an object with all its fields, status included, as controllers do."""
        target = self._target_of(manifest)
        write = Write(target.kind, target.version, target.namespace, "controller")
        name = manifest["metadata"]["name"]
        if self.store.get(target.kind.key, (target.namespace, name)) is None:
            stored = self.cluster.create(write, manifest)
        else:
            old = self.cluster.get(target.kind, target.namespace, name)
            metadata = manifest["metadata"] | {
                "resourceVersion": old["metadata"]["resourceVersion"]
            }
            stored = self.cluster.update(write, name, {**manifest, "metadata": metadata})
        if "status" not in manifest or not target.kind.has_status:
            return stored
        status = Write(target.kind, target.version, target.namespace, "controller", "status")
        return self.cluster.update(status, name, {**stored, "status": manifest["status"]})

    def remove(self, manifest: Object) -> None:
        """Delete the object of the manifest's kind, namespace and name."""
        target = self._target_of(manifest)
        self.cluster.delete(target.kind, target.namespace, manifest["metadata"]["name"], {})

    def _target_of(self, manifest: Object) -> Target:
        group, _, version = manifest["apiVersion"].rpartition("/")
        for kind in self.cluster.kinds.values():
            if (kind.group, kind.kind) == (group, manifest["kind"]):
                namespace = manifest["metadata"].get("namespace", "default")
                namespace = namespace if kind.namespaced else ""
                return Target("create", kind, version, namespace, "", "", {})
        raise LookupError(f"no kind {manifest['apiVersion']} {manifest['kind']}")

    def count(self, verb: str = "*", resource: str = "*") -> int:
        """How many such requests came in so far."""
        return sum(
            number
            for (v, r), number in self.counts.items()
            if verb in ("*", v) and resource in ("*", r)
        )

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """Requests so far, by verb and resource."""
        return Counter((each.verb, each.resource) for each in self.requests)

    def write_kubeconfig(self, path: Path, token: str = "") -> Path:
        """A kubeconfig for kubectl and the client library."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": token} if token else {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is not None:
            self._open.add(transport)
        try:
            return await self._answer(request)
        except ApiError as error:
            return _error_response(error)
        finally:
            if transport is not None:
                self._open.discard(transport)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        identity = self.access.identify(request.headers.get("Authorization"))
        if identity is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        found = discover(request.path, self.cluster.kinds.values())
        if found is not None:
            return web.json_response(found)
        if (found := read_proxy_path(request.path)) is not None:
            return await self._ask_pod(found, identity)
        target = route(request.method, request.path, dict(request.query), self.cluster.kinds)
        self.requests.append(Request(monotonic(), target.verb, target.resource, target.namespace))
        fault = await self._fail_early(self.faults.take(target.verb, target.resource), request)
        for verb in self._verbs(request, target):
            attempt = Attempt(
                verb, target.kind.group, target.resource, target.namespace, target.name
            )
            if not self.access.allows(identity.username, attempt):
                message = (
                    f'User "{identity.username}" cannot {verb} resource "{target.resource}" in'
                    f' API group "{target.kind.group}"'
                )
                raise ApiError(403, "Forbidden", message)
        return await self._handlers.handle(request, target, identity, fault)

    async def _ask_pod(self, found: ProxyPath, identity: Identity) -> web.Response:
        attempt = Attempt("get", "", "pods/proxy", found.namespace, found.pod.partition(":")[0])
        if not self.access.allows(identity.username, attempt):
            raise ApiError(403, "Forbidden", "cannot get pods/proxy")
        address = self.pod_addresses.get((found.namespace, found.pod))
        if address is None:
            raise ApiError(503, "ServiceUnavailable", "error trying to reach service")
        url = f"http://{address}{found.rest}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return web.Response(body=await answer.read(), status=answer.status)

    def _verbs(self, request: web.BaseRequest, target: Target) -> tuple[str, ...]:
        """What a request does: who creates an object by applying it must be permitted both."""
        if request.content_type == APPLY_PATCH and not target.subresource:
            name = (target.namespace, target.name)
            if self.store.get(target.kind.key, name) is None:
                return (target.verb, "create")
        return (target.verb,)

    async def _fail_early(self, action: Action | None, request: web.BaseRequest) -> Action | None:
        """Do what a fault does before an answer; gives back what it does to the answer."""
        match action:
            case Delay(seconds):
                await asyncio.sleep(seconds)
                return None
            case Drop():
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError("scripted")
            case Answer() as answer:
                raise _scripted(answer)
            case ErrorEvent(code, reason) if "watch" not in request.query:
                raise ApiError(code, reason, "scripted")
            case _:
                return action


def _scripted(answer: Answer) -> ApiError:
    error = ApiError(answer.code, answer.reason, answer.message)
    if answer.retry_after is not None:
        error.details = {"retryAfterSeconds": answer.retry_after}
    return error


def _error_response(error: ApiError) -> web.Response:
    headers = {}
    if (seconds := error.details.get("retryAfterSeconds")) is not None:
        headers["Retry-After"] = str(seconds)
    return web.Response(
        body=json.dumps(error.status()),
        status=error.code,
        headers=headers,
        content_type="application/json",
    )
