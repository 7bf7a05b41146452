"""A stream belongs to one waypoint: nothing of another can be had through it, however it asks."""

import grpc
import pytest
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest

from tests.support.adsclient import AdsClient, DeltaClient, claim
from tests.support.adsserver import BANK, SHOP, Running, running
from tests.support.resources import resource
from translators.ir.waypoint import WaypointName
from translators.wire.resource import TypeUrl
from xds_server.identity.peer import GATEWAY_NAME_LABEL

both = pytest.mark.parametrize("variant", ["delta", "sotw"])
by = pytest.mark.parametrize("asked", ["*", "treasure"])


def furnish(server: Running) -> None:
    """Give the bank one resource of each type, and the shop one of another name."""
    server.world.set(BANK, *(resource(type_url, "treasure") for type_url in TypeUrl))
    server.world.set(SHOP, *(resource(type_url, "ware") for type_url in TypeUrl))


async def loot(client: AdsClient, asked: str) -> set[str]:
    """The names of all that can be had by asking for this, of every type, twice."""
    for type_url in TypeUrl:
        await client.subscribe(type_url, asked)
    came = await client.quiesce()
    for type_url in TypeUrl:
        await client.subscribe(type_url, asked, "ware")
    came += await client.quiesce()
    return {name for response in came for name in response.contents}


@both
@by
async def test_the_owner_gets_it(variant: str, asked: str) -> None:
    async with running() as server, server.client(variant, BANK) as client:
        furnish(server)

        assert await loot(client, asked) == {"treasure"}


@both
@by
async def test_another_waypoint_does_not(variant: str, asked: str) -> None:
    async with (
        running() as server,
        server.client(variant, BANK) as owner,
        server.client(variant, SHOP) as client,
    ):
        furnish(server)
        await loot(owner, "*")

        assert await loot(client, asked) == {"ware"}


@both
async def test_a_later_request_that_names_another_node_changes_nothing(variant: str) -> None:
    async with running() as server, server.client(variant, SHOP) as client:
        furnish(server)
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.quiesce()
        node = claim(BANK, "envoy-of-the-bank")
        request = DeltaDiscoveryRequest if isinstance(client, DeltaClient) else DiscoveryRequest
        await client.send(bytes(request(node=node, type_url=TypeUrl.LISTENER)))
        client.node = node

        assert await loot(client, "*") == {"ware"}
        assert [each.proxy.waypoint for each in server.service.registry.streams()] == [SHOP]


@both
async def test_changes_of_another_waypoint_wake_nobody(variant: str) -> None:
    async with running() as server, server.client(variant, SHOP) as client:
        furnish(server)
        await loot(client, "*")
        server.world.set(BANK, *(resource(type_url, "treasure", "2") for type_url in TypeUrl))

        assert await client.quiesce() == []


@both
@pytest.mark.parametrize(
    ("metadata", "hint"),
    [
        ({"NAMESPACE": ""}, "NAMESPACE"),
        ({"LABELS": {}}, GATEWAY_NAME_LABEL),
        ({"WAYPOST_BIND": "everywhere"}, "WAYPOST_BIND"),
    ],
)
async def test_a_stream_without_a_claim_is_denied(
    variant: str, metadata: dict[str, object], hint: str
) -> None:
    async with running() as server, server.client(variant) as client:
        furnish(server)
        client.node = claim(WaypointName("shop", "waypoint"), "envoy-1", **metadata)
        await client.subscribe(TypeUrl.CLUSTER, "*")
        code, message = await client.status()

        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert hint in message
        assert server.service.counters.streams_refused == 1


@both
async def test_a_stream_without_a_node_is_denied(variant: str) -> None:
    async with running() as server, server.client(variant) as client:
        furnish(server)
        client.node = None
        await client.subscribe(TypeUrl.CLUSTER, "*")
        code, _ = await client.status()

        assert code is grpc.StatusCode.PERMISSION_DENIED
