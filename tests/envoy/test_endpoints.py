"""Endpoints as EndpointSlices tell of them: pods that are about to go, and hand-written ones."""

from typing import Any

import pytest

from tests.support.http1 import http1_request, read_body, read_head, send_request
from tests.support.manifests import BANNER, HTTP, TCP, Manifest
from tests.support.mesh import Mesh, Offer
from xds_server.demo.echo import EchoApp

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOING = {"ready": False, "serving": True, "terminating": True}


def slice_of(mesh: Mesh, web: Offer, *endpoints: tuple[EchoApp, dict[str, bool]]) -> Manifest:
    labels = {"kubernetes.io/service-name": web.name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{web.name}-1", "namespace": mesh.home, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": HTTP}],
        "endpoints": [
            {
                "addresses": [app.ip],
                "conditions": conditions,
                "targetRef": {"kind": "Pod", "name": app.version},
            }
            for app, conditions in endpoints
        ],
    }


async def test_a_pod_that_is_about_to_go_finishes_what_it_has_begun(mesh: Mesh) -> None:
    web = mesh.offer("draining", ports=(("http", 80, HTTP),))
    v1, v2 = mesh.pods.v1, mesh.pods.v2
    await mesh.put("draining", web.manifest, slice_of(mesh, web, (v1, {})))
    async with await mesh.tunnel(web.http) as long, await mesh.tunnel(web.http) as tunnel:
        await send_request(long, "GET", "/?stream=6,0.3")
        head = await read_head(long)
        await mesh.put("draining", web.manifest, slice_of(mesh, web, (v1, GOING), (v2, {})))
        answers = [await http1_request(tunnel, "GET", "/") for _ in range(10)]
        assert {answer.header("x-echo-version") for answer in answers} == {"v2"}
        assert len([piece async for piece in read_body(long, head)]) >= 6


async def test_the_last_pod_serves_until_it_is_gone(mesh: Mesh) -> None:
    web = mesh.offer("last", ports=(("http", 80, HTTP),))
    v1 = mesh.pods.v1
    await mesh.put("last", web.manifest, slice_of(mesh, web, (v1, GOING)))
    assert (await mesh.get(web.http)).header("x-echo-version") == "v1"
    gone = GOING | {"serving": False}
    await mesh.put("last", web.manifest, slice_of(mesh, web, (v1, gone)))
    assert (await mesh.get(web.http)).status == 503


async def test_addresses_that_are_published_before_they_are_ready(mesh: Mesh) -> None:
    web = mesh.offer("early", ports=(("http", 80, HTTP),))
    early: dict[str, Any] = dict(web.manifest)
    early["spec"] = {**early["spec"], "publishNotReadyAddresses": True}
    endpoints = slice_of(mesh, web, (mesh.pods.v1, {"ready": False, "serving": False}))
    await mesh.put("early", web.manifest, endpoints)
    assert (await mesh.get(web.http)).status == 503
    await mesh.put("early", early, endpoints)
    assert (await mesh.get(web.http)).status == 200


async def test_each_pod_has_its_own_number_for_a_named_port(mesh: Mesh) -> None:
    """By pods alone; the two call different ports by that name, of which one speaks first."""
    web = mesh.offer("named", {"app": "named"})
    manifest: dict[str, Any] = dict(web.manifest)
    port = {"name": "tcp", "port": 90, "targetPort": "echo"}
    manifest["spec"] = {**manifest["spec"], "ports": [port]}
    pods = [dict(one) for one in mesh.pods.manifests(mesh.home)[:2]]
    numbers = (TCP, BANNER)
    named: list[dict[str, Any]] = [
        {
            **one,
            "metadata": {**one["metadata"], "name": f"named-{number}", "labels": {"app": "named"}},
            "spec": {
                **one["spec"],
                "containers": [{"name": "a", "ports": [{"name": "echo", "containerPort": number}]}],
            },
        }
        for one, number in zip(pods, numbers, strict=True)
    ]

    async def spoken() -> bytes:
        async with await mesh.tunnel(web.tcp) as tunnel:
            await tunnel.write(b"ping")
            return await tunnel.readexactly(4)

    await mesh.put("named", manifest, named[0])
    assert {await spoken() for _ in range(4)} == {b"ping"}
    await mesh.put("named", manifest, named[1])
    assert {await spoken() for _ in range(4)} == {b"hell"}  # hello from
    await mesh.put("named", manifest, *named)
    assert {await spoken() for _ in range(20)} == {b"ping", b"hell"}
