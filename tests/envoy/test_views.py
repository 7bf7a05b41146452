"""What can be looked at: Envoy's own dump, ours, and that neither shows too much."""

import json
import urllib.request
from asyncio import to_thread
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.dumps import by_name, entries, listeners
from tests.support.hbone import ConnectRefusedError
from tests.support.mesh import Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def our_dump(mesh: Mesh) -> Any:
    """The control plane's dump of a waypoint, as JSON values."""
    return json.loads(await ask(mesh, f"/config_dump?waypoint={mesh.name}"))


async def ask(mesh: Mesh, path: str) -> bytes:
    """A page of the control plane's admin port."""

    def fetch() -> bytes:
        with urllib.request.urlopen(f"http://{mesh.plane.addresses.admin}{path}") as answer:
            body: bytes = answer.read()
            return body

    return await to_thread(fetch)


async def test_envoy_holds_exactly_what_our_dump_says(bank: Mesh) -> None:
    web = bank.offer("viewed", {"pod": "plain"})
    await bank.put("viewed", web.manifest)
    ours, envoys = await our_dump(bank), await bank.envoy.config_dump()
    wanted, held = by_name(ours), by_name(envoys)
    # Envoy tells no versions of endpoints, and has some for clusters that get none from us.
    endpoints = wanted.pop("dynamic_endpoint_configs")
    assert endpoints.keys() <= held.pop("dynamic_endpoint_configs").keys()
    # A listener that was updated in place goes on telling the version that it began with.
    assert held.pop("dynamic_listeners").keys() == wanted.pop("dynamic_listeners").keys()
    assert held == wanted
    assert listeners(envoys) == listeners(ours)
    assert listeners(envoys).keys() == {
        *("connect_terminate", "connect_originate", "main_internal", "main_internal_sniff")
    }
    assert {entry["client_status"] for _, _, entry in entries(ours)} == {"ACKED"}


async def test_syncz_lists_the_waypoint_as_synced(mesh: Mesh) -> None:
    [proxy] = [
        entry
        for entry in json.loads(await ask(mesh, "/syncz"))
        if entry["waypoint"] == str(mesh.name)
    ]
    assert proxy["synced"]
    assert proxy["protocol"] == "delta"


async def test_no_dump_shows_a_private_key(bank: Mesh) -> None:
    ours = await ask(bank, f"/config_dump?waypoint={bank.name}")
    for dump in (ours, await bank.envoy.get("/config_dump")):
        assert b"PRIVATE KEY" not in dump
        assert b"LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0" not in dump  # the same in base64
        keys = list(_private_keys(json.loads(dump)))
        assert keys
        assert all(map(_is_redacted, keys))


def _private_keys(value: Any) -> Iterator[Any]:
    """Every value of a private_key field."""
    if isinstance(value, list):
        for item in value:
            yield from _private_keys(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in ("private_key", "privateKey"):
                yield item
            yield from _private_keys(item)


def _is_redacted(key: Any) -> bool:
    # W3JlZGFjdGVkXQ== is Envoy's "[redacted]".
    return set(key.values()) <= {"[redacted]", "W3JlZGFjdGVkXQ=="}


async def test_a_waypoint_knows_only_its_own_services(mesh: Mesh, bank: Mesh) -> None:
    mine, theirs = mesh.offer("mine"), bank.offer("theirs", {"pod": "plain"})
    await mesh.put("mine", mine.manifest)
    await bank.put("theirs", theirs.manifest)
    assert (await bank.get(theirs.http)).status == 200
    assert (await mesh.get(mine.http)).status == 200
    for waypoint, foreign in ((mesh, theirs), (bank, mine)):
        with pytest.raises(ConnectRefusedError) as refusal:
            await waypoint.tunnel(foreign.http)
        assert refusal.value.status == 404
    dumps = [
        (await mesh.envoy.config_dump(), ".bank.svc"),
        (await bank.envoy.config_dump(), ".demo.svc"),
        (await our_dump(bank), ".demo.svc"),
    ]
    for dump, other in dumps:
        names = {name for _, name, _ in entries(dump)}
        assert names
        assert not [name for name in names if other in name]
