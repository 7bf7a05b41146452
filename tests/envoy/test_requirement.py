"""A service that must not be reached without its waypoint, seen from another waypoint's routes."""

from typing import Any

import pytest

from tests.support.hbone import ConnectRefusedError
from tests.support.manifests import Manifest, backend, route, route_of, rule
from tests.support.mesh import Mesh, Offer

pytestmark = pytest.mark.asyncio(loop_scope="session")

REQUIRED = "waypost.dev/waypoint-required"


def elsewhere(offer: Offer, required: str | None) -> Manifest:
    """The service with a label that names a waypoint which is not there."""
    manifest: dict[str, Any] = dict(offer.manifest)
    annotations = {} if required is None else {REQUIRED: required}
    labels = {"istio.io/use-waypoint": "missing"}
    meta = {**manifest["metadata"], "labels": labels, "annotations": annotations}
    return {**manifest, "metadata": meta}


async def test_no_waypoint_sends_to_it_while_its_own_is_missing(mesh: Mesh) -> None:
    front, guarded = mesh.offer("front"), mesh.offer("guarded")
    routes = (
        route("front", mesh.home, "front", rule(to=[backend("guarded")])),
        route_of(
            "TCPRoute", "front", mesh.home, "front", rule(to=[backend("guarded", port=90)]),
            parent={"port": 90},
        ),
    )  # fmt: skip
    await mesh.put("required", front.manifest, elsewhere(guarded, "true"), *routes)
    assert (await mesh.get(front.http)).status == 503
    with pytest.raises(ConnectRefusedError) as refusal:
        await mesh.tunnel(front.tcp)
    assert refusal.value.status == 503
    with pytest.raises(ConnectRefusedError):
        await mesh.tunnel(guarded.http)  # its address is no business of this waypoint

    await mesh.put("required", front.manifest, elsewhere(guarded, None), *routes)
    assert (await mesh.get(front.http)).status == 200  # Istio's rule
    async with await mesh.tunnel(front.tcp) as tunnel:
        await tunnel.write(b"ping")
        assert await tunnel.readexactly(4) == b"ping"

    await mesh.put("required", front.manifest, elsewhere(guarded, "true"), *routes)
    assert (await mesh.get(front.http)).status == 503
    bound = dict(guarded.manifest) | {
        "metadata": {**guarded.manifest["metadata"], "annotations": {REQUIRED: "true"}}
    }
    await mesh.put("required", front.manifest, bound, *routes)
    assert (await mesh.get(front.http)).status == 200
    assert (await mesh.get(guarded.http)).status == 200
