"""A real Envoy chooses the route that the specification says, for any routes and requests."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from urllib.parse import urlsplit

import pytest

from tests.support.http1 import http1_request
from tests.support.manifests import Manifest, namespace
from tests.support.mesh import Mesh, Offer
from tests.support.oracle import DEFAULT, NOT_FOUND, Request, chosen_rule
from tests.support.random_routes import (
    NAMESPACES,
    host_of,
    random_request,
    random_routes,
    some_routes,
)
from xds_server.demo.ztunnel import SvidFiles

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SERVICES = 50


def seed_of_this_run() -> int:
    """``WAYPOST_SEED``, to see a failure again, or any."""
    return int(os.environ.get("WAYPOST_SEED") or Random().randrange(2**32))


async def test_routes_are_chosen_as_the_specification_says(mesh: Mesh) -> None:
    await compare(mesh, seed_of_this_run(), rounds=1, requests=2_000)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_routes_are_chosen_as_the_specification_says_at_length(mesh: Mesh) -> None:
    await compare(mesh, seed_of_this_run(), rounds=20, requests=5_000)


async def test_a_thousand_routes_of_one_service(mesh: Mesh) -> None:
    random = Random(seed := seed_of_this_run())
    print(f"WAYPOST_SEED={seed}")  # noqa: T201
    web = mesh.offer("thousand")
    routes = list(random_routes(random, "thousand", 1000))
    await put(mesh, {"thousand": web}, {"thousand": routes})
    asked = [random_request(random, ["thousand"]) for _ in range(60)]
    seen: Counter[str] = Counter()
    for where in sorted({(one.port, one.caller) for one in asked}):
        batch = [one for one in asked if (one.port, one.caller) == where]
        seen += await ask(mesh, web, routes, batch)
    assert seen["rule"] > 50


async def compare(mesh: Mesh, seed: int, rounds: int, requests: int) -> None:
    """Fails with the first request that goes elsewhere than the oracle says."""
    print(f"WAYPOST_SEED={seed}")  # noqa: T201  pytest shows it if the test fails
    random = Random(seed)
    offers = {f"choice-{number}": mesh.offer(f"choice-{number}") for number in range(_SERVICES)}
    seen: Counter[str] = Counter()
    for _ in range(rounds):
        routes = {name: list(some_routes(random, name)) for name in offers}
        await put(mesh, offers, routes)
        asked = [random_request(random, list(offers)) for _ in range(requests)]
        for where in sorted({(one.service, one.port, one.caller) for one in asked}):
            batch = [one for one in asked if (one.service, one.port, one.caller) == where]
            seen += await ask(mesh, offers[where[0]], routes[where[0]], batch)
    # Nothing is proven by requests that all end in the same way.
    assert seen["rule"] > seen[NOT_FOUND] > 0
    assert seen[DEFAULT] > 0


async def put(
    mesh: Mesh, offers: Mapping[str, Offer], routes: Mapping[str, Sequence[Manifest]]
) -> None:
    """Write services and routes, and wait until the old ones are gone too."""
    there = [route for each in routes.values() for route in each]
    homes = [namespace(name) for name in NAMESPACES]
    await mesh.put(
        next(iter(offers)), *homes[1:], *(each.manifest for each in offers.values()), *there
    )


async def ask(
    mesh: Mesh, offer: Offer, routes: Sequence[Manifest], requests: Sequence[Request]
) -> Counter[str]:
    """Send requests of one caller to one port, and compare what becomes of each."""
    seen: Counter[str] = Counter()
    first = requests[0]
    async with await mesh.tunnel(offer.at(first.port), caller(mesh, first)) as tunnel:
        for request in requests:
            expected = chosen_rule(routes, mesh.home, request)
            answer = await http1_request(tunnel, request.method, request.target, request.headers)
            got = outcome(answer.status, answer.header("location"))
            assert got == told(expected), explain(request, routes, expected)
            seen[expected if expected in (DEFAULT, NOT_FOUND) else "rule"] += 1
    return seen


def caller(mesh: Mesh, request: Request) -> SvidFiles:
    return mesh.certs.svid(request.caller, "client")


def outcome(status: int, location: str | None) -> tuple[int, str]:
    """The status, and the host that a redirect leads to."""
    return status, urlsplit(location or "").hostname or ""


def told(expected: str) -> tuple[int, str]:
    """What a client sees of the oracle's answer."""
    if expected == NOT_FOUND:
        return 404, ""
    return (200, "") if expected == DEFAULT else (302, host_of(expected))


def explain(request: Request, routes: Sequence[Manifest], expected: str) -> str:
    lines = [f"{request}", f"expected {expected}, of these routes:", *map(str, routes)]
    return "\n".join(lines)
