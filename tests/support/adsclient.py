"""A small ADS client over real gRPC, for tests: it keeps the books that an honest Envoy keeps.

Messages are built and read by envoy_data_plane, so that the server's own codec does not judge
itself. Bodies are those of ``tests.support.resources`` (``name=content``) unless ``name_of`` says
how else to find a name in a body.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, ClassVar, Self

import grpc
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from envoy_data_plane.google.protobuf import Struct
from envoy_data_plane.google.rpc import Status

from translators.ir.waypoint import WaypointName
from translators.wire.resource import TypeUrl
from xds_server.identity.peer import GATEWAY_NAME_LABEL

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
DEADLINE = 10.0
_fences = count()


@dataclass(frozen=True)
class Received:
    """One response: contents and versions by name. SotW has one version for all."""

    type_url: str
    nonce: str
    contents: Mapping[str, bytes]
    versions: Mapping[str, str]
    removed: tuple[str, ...] = ()


def claim(waypoint: WaypointName, node_id: str, **metadata: Any) -> Node:
    """The node of an Envoy that says it serves this waypoint."""
    fields = {
        "NAMESPACE": waypoint.namespace,
        "LABELS": {GATEWAY_NAME_LABEL: waypoint.name},
    }
    return Node(id=node_id, metadata=Struct.from_dict(fields | metadata))


def synthetic_name(body: bytes) -> str:
    return body.partition(b"=")[0].decode()


@dataclass
class AdsClient:
    """One stream. ``held`` is what was acknowledged: versions by type and name."""

    address: str
    node: Node | None
    held: dict[str, dict[str, str]] = field(default_factory=dict)
    name_of: Callable[[bytes], str] = synthetic_name
    options: tuple[tuple[str, Any], ...] = ()
    credentials: grpc.ChannelCredentials | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    method: ClassVar[str]

    async def __aenter__(self) -> Self:
        options = (("grpc.use_local_subchannel_pool", 1), *self.options)
        if self.credentials is None:
            self.channel = grpc.aio.insecure_channel(self.address, options=options)
        else:
            self.channel = grpc.aio.secure_channel(self.address, self.credentials, options=options)
        call = self.channel.stream_stream(f"{SERVICE}/{self.method}")
        self.call = call(metadata=self.metadata)
        self.contents: dict[str, dict[str, bytes]] = {}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.call.cancel()
        await self.channel.close()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.call.write(data)

    async def receive(self) -> Received:
        """The next response. Raises grpc.aio.AioRpcError if the stream ends instead."""
        async with asyncio.timeout(DEADLINE):
            data = await self.call.read()
            if data is grpc.aio.EOF:
                raise AssertionError(f"the stream ended: {await self.call.code()}")
        return self.parse(data)

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Read to the end of the stream; its status code and message."""
        async with asyncio.timeout(DEADLINE):
            try:
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError:
                pass
            return await self.call.code(), await self.call.details()

    async def quiesce(self) -> list[Received]:
        """Acknowledge all that comes until the server has nothing more to say; what came.

        A question about a type that does not exist is answered when nothing else is due.
        """
        came: list[Received] = []
        while fresh := await self.fence():
            for response in fresh:
                await self.ack(response)
            came += fresh
        return came

    async def fence(self) -> list[Received]:
        """What the server sends before it has nothing more to send without an answer."""
        fence = f"type.googleapis.com/fence.Type{next(_fences)}"
        await self.subscribe(fence, "fence")
        came = []
        while (response := await self.receive()).type_url != fence:
            came.append(response)
        return came

    async def until(self, type_url: TypeUrl, expected: Mapping[str, bytes]) -> list[Received]:
        """Acknowledge all that comes until exactly this content is held; what came."""
        came = []
        while self.contents.get(type_url, {}) != dict(expected):
            response = await self.receive()
            await self.ack(response)
            came.append(response)
        return came

    async def subscribe(self, type_url: str, *names: str) -> None:
        raise NotImplementedError

    async def ack(self, response: Received) -> None:
        raise NotImplementedError

    async def nack(self, response: Received, message: str) -> None:
        raise NotImplementedError

    def parse(self, data: bytes) -> Received:
        raise NotImplementedError

    def _first_node(self) -> Node | None:
        """Only the first request of a stream carries the node."""
        node, self.node = self.node, None
        return node


@dataclass
class DeltaClient(AdsClient):
    method = "DeltaAggregatedResources"
    asked: set[str] = field(default_factory=set)

    async def subscribe(self, type_url: str, *names: str) -> None:
        """Subscribe to these names too; the first time, also report what is held."""
        request = DeltaDiscoveryRequest(
            node=self._first_node(),
            type_url=type_url,
            resource_names_subscribe=list(names),
            initial_resource_versions={} if type_url in self.asked else self.held.get(type_url, {}),
        )
        self.asked.add(type_url)
        await self.send(bytes(request))

    async def unsubscribe(self, type_url: str, *names: str) -> None:
        request = DeltaDiscoveryRequest(type_url=type_url, resource_names_unsubscribe=list(names))
        await self.send(bytes(request))

    async def ack(self, response: Received) -> None:
        held = self.held.setdefault(response.type_url, {})
        contents = self.contents.setdefault(response.type_url, {})
        held.update(response.versions)
        contents.update(response.contents)
        for name in response.removed:
            held.pop(name, None)
            contents.pop(name, None)
        request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        await self.send(bytes(request))

    async def nack(self, response: Received, message: str) -> None:
        request = DeltaDiscoveryRequest(
            type_url=response.type_url,
            response_nonce=response.nonce,
            error_detail=Status(code=3, message=message),
        )
        await self.send(bytes(request))

    def parse(self, data: bytes) -> Received:
        response = DeltaDiscoveryResponse.parse(data)
        return Received(
            response.type_url,
            response.nonce,
            {each.name: each.resource.value for each in response.resources if each.resource},
            {each.name: each.version for each in response.resources},
            tuple(response.removed_resources),
        )


@dataclass
class SotwClient(AdsClient):
    method = "StreamAggregatedResources"
    wanted: dict[str, list[str]] = field(default_factory=dict)
    last: dict[str, Received] = field(default_factory=dict)
    full: ClassVar[frozenset[TypeUrl]] = frozenset({TypeUrl.CLUSTER, TypeUrl.LISTENER})

    async def subscribe(self, type_url: str, *names: str) -> None:
        """Subscribe to exactly these names from now on; ``*`` alone is everything."""
        self.wanted[type_url] = [] if names == ("*",) else list(names)
        await self._request(type_url)

    async def ack(self, response: Received) -> None:
        held = {} if response.type_url in self.full else self.held.get(response.type_url, {})
        contents = (
            {} if response.type_url in self.full else self.contents.get(response.type_url, {})
        )
        self.held[response.type_url] = {**held, **response.versions}
        self.contents[response.type_url] = {**contents, **response.contents}
        self.last[response.type_url] = response
        await self._request(response.type_url)

    async def nack(self, response: Received, message: str) -> None:
        self.last[response.type_url] = response
        await self._request(response.type_url, Status(code=3, message=message))

    async def _request(self, type_url: str, error: Status | None = None) -> None:
        last = self.last.get(type_url)
        version = next(iter(self.held.get(type_url, {}).values()), "")
        request = DiscoveryRequest(
            node=self._first_node(),
            type_url=type_url,
            version_info=version,
            response_nonce=last.nonce if last else "",
            resource_names=self.wanted.get(type_url, []),
            error_detail=error,
        )
        await self.send(bytes(request))

    def parse(self, data: bytes) -> Received:
        response = DiscoveryResponse.parse(data)
        bodies = [each.value for each in response.resources]
        contents = {self.name_of(body): body for body in bodies}
        versions = dict.fromkeys(contents, response.version_info)
        return Received(response.type_url, response.nonce, contents, versions)
