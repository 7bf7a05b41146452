"""What the waypoint writes down of each request and connection."""

import json
from typing import Any

import pytest

from tests.support.mesh import Mesh, Offer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def lines(mesh: Mesh, offer: Offer) -> list[dict[str, Any]]:
    """The lines that are about a service, by the filter chain that wrote them."""
    written = mesh.envoy.log().splitlines()
    logged = (json.loads(line) for line in written if line.startswith("{") and line.endswith("}"))
    host = f"{offer.name}.{mesh.home}.svc.cluster.local"
    return [line for line in logged if host in line.get("listener", "")]


async def test_a_line_names_its_filter_chain(mesh: Mesh) -> None:
    web = mesh.offer("logged")
    await mesh.put("logged", web.manifest)
    assert (await mesh.get(web.http, "/seen")).status == 200
    async with await mesh.tunnel(web.tcp) as tunnel:
        await tunnel.write(b"ping")
        assert await tunnel.read() == b"ping"
    await mesh.envoy.wait_until(lambda: len(lines(mesh, web)) == 2, "logging both")
    by_chain = {line["listener"]: line for line in lines(mesh, web)}
    assert by_chain.keys() == {
        "inbound-vip|80|http|logged.demo.svc.cluster.local",
        "inbound-vip|90|tcp|logged.demo.svc.cluster.local",
    }
    request = by_chain["inbound-vip|80|http|logged.demo.svc.cluster.local"]
    assert (request["path"], request["code"], request["peer"]) == ("/seen", 200, mesh.friend.uri)
