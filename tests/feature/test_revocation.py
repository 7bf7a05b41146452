"""A Gateway whose service account changes: who had it gets nothing that is for the new one."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import grpc
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from structlog.testing import capture_logs

from tests.support.adsclient import DeltaClient, Received, claim
from tests.support.controlplane import control_plane, settings
from tests.support.manifests import WAYPOINT, ManifestFolder, gateway, namespace
from translators.ir.waypoint import WaypointName
from translators.wire.resource import TypeUrl
from translators.xds.names import SVID
from xds_server.identity.authority import create_authority
from xds_server.identity.certificates import CertificateCredentials
from xds_server.identity.spiffe import SpiffeId
from xds_server.serving.listeners import SecureXds

HOME = "shop"
ACCOUNT = "gateway.istio.io/service-account"


def now() -> datetime:
    return datetime.now(UTC)


async def test_no_certificate_of_the_new_account_reaches_the_old_one(tmp_path: Path) -> None:
    manifests = ManifestFolder(tmp_path / "manifests")
    manifests.put("base", namespace(HOME), gateway(HOME))
    authority = create_authority(now())
    secure = SecureXds("127.0.0.1:0", ["localhost"], CertificateCredentials("cluster.local", now))
    shown = authority.issue(SpiffeId("cluster.local", HOME, WAYPOINT), now())
    credentials = grpc.ssl_channel_credentials(authority.trust_bundle(), shown.key, shown.chain)
    node = claim(WaypointName(HOME, WAYPOINT), "envoy-1")
    given = settings(tmp_path, secure=secure)
    async with control_plane(given, manifests.root, authority) as plane:
        port = plane.addresses.secure.rpartition(":")[2]
        client = DeltaClient(
            f"localhost:{port}", node, name_of=secret_name, credentials=credentials
        )
        async with client:
            await client.subscribe(TypeUrl.SECRET, SVID)
            first = await client.receive()
            await client.ack(first)
            changed = gateway(HOME)
            changed["metadata"]["annotations"] = {ACCOUNT: "somebody-else"}
            manifests.put("base", namespace(HOME), changed)
            with capture_logs() as logs:
                later = [response async for response in responses(client)]
                code, _ = await client.status()

    assert SVID in first.contents
    assert later == []
    assert code is grpc.StatusCode.PERMISSION_DENIED
    said = [line["event"] for line in logs if line["event"].startswith("xds_")]
    assert said == ["xds_stream_revoked", "xds_stream_closed"]


def secret_name(body: bytes) -> str:
    return Secret.parse(body).name


async def responses(client: DeltaClient) -> AsyncIterator[Received]:
    """All that comes until the stream ends."""
    with suppress(grpc.aio.AioRpcError):
        while True:
            yield await client.receive()
