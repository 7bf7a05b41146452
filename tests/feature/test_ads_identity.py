"""Streams over TLS: who is let in by a token or a certificate, to what, and for how long."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from tests.support.adsserver import BANK, SHOP, eventually
from tests.support.kubeapi import Identity, KubeApi
from tests.support.secure import Secure, loot, now, refusal, secure
from translators.ir.waypoint import WaypointName
from translators.wire.resource import TypeUrl
from xds_server.ads import AdsLimits
from xds_server.identity.authority import Authority, create_authority
from xds_server.identity.certificates import CertificateCredentials
from xds_server.identity.peer import Proof, Reason
from xds_server.identity.spiffe import SpiffeId
from xds_server.identity.token_review import TokenReviews
from xds_server.identity.tokens import TokenCredentials, TokenLimits
from xds_server.sources.kubernetes.login import choose_login
from xds_server.sources.kubernetes.transport import Transport

both = pytest.mark.parametrize("variant", ["delta", "sotw"])

SHOP_ACCOUNT = "system:serviceaccount:shop:waypoint"
DENIED, UNKNOWN = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
QUICK = AdsLimits(recheck=0.1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority(now())


def grant(
    api: KubeApi, token: str, user: str = SHOP_ACCOUNT, audience: str = "waypost", **extra: Any
) -> str:
    """Make a token good at the API server."""
    api.access.tokens[token] = Identity(user, audiences=(audience,), **extra)
    return token


def jwt(expires: datetime) -> str:
    """What looks like a service-account token."""
    parts = ({"alg": "RS256"}, {"exp": expires.timestamp()}, {"no": "signature"})
    return ".".join(
        urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


@asynccontextmanager
async def with_tokens(
    authority: Authority,
    folder: Path,
    limits: AdsLimits | None = None,
    tokens: TokenLimits = TokenLimits(),  # noqa: B008  # frozen
) -> AsyncIterator[tuple[Secure, KubeApi]]:
    async with KubeApi() as api:
        transport = Transport(choose_login(api.write_kubeconfig(folder / "kubeconfig")))
        reviews = TokenReviews(transport, "waypost")
        credentials = TokenCredentials(reviews, now, monotonic, tokens)
        async with secure(authority, credentials, limits) as server:
            try:
                yield server, api
            finally:
                await credentials.close()


@both
async def test_a_token_opens_its_own_waypoint(
    variant: str, authority: Authority, tmp_path: Path
) -> None:
    async with with_tokens(authority, tmp_path) as (server, api):
        token = grant(api, "t", extra={"authentication.kubernetes.io/pod-name": ["pod-1"]})
        async with server.client(variant, token=token) as client:
            assert await loot(client, "*") == {"ware"}
            assert await loot(client, "ware", "treasure") <= {"ware"}
            [stream] = server.plane.service.registry.streams()

        assert stream.proxy.identity == "shop/waypoint/pod-1"
        assert server.plane.service.counters.admitted == {Proof.TOKEN: 1}


CLAIMS = {
    "the waypoint of another namespace": (BANK, SHOP_ACCOUNT, DENIED, Reason.OTHER_ACCOUNT),
    "another account of the namespace": (
        *(SHOP, "system:serviceaccount:shop:web"),
        *(DENIED, Reason.OTHER_ACCOUNT),
    ),
    "the same account of another namespace": (
        *(SHOP, "system:serviceaccount:bank:waypoint"),
        *(DENIED, Reason.OTHER_ACCOUNT),
    ),
    "a waypoint that does not exist": (
        *(WaypointName("shop", "other"), "system:serviceaccount:shop:other"),
        *(DENIED, Reason.UNKNOWN_WAYPOINT),
    ),
    "a person": (SHOP, "waypoint", UNKNOWN, Reason.BAD_CREDENTIAL),
    "a strange account": (
        *(SHOP, "system:serviceaccount:shop:waypoint:x"),
        *(UNKNOWN, Reason.BAD_CREDENTIAL),
    ),
}


@both
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
async def test_a_token_opens_nothing_else(
    variant: str,
    claim: tuple[WaypointName, str, grpc.StatusCode, Reason],
    authority: Authority,
    tmp_path: Path,
) -> None:
    waypoint, user, code, reason = claim
    async with with_tokens(authority, tmp_path) as (server, api):
        token = grant(api, "a-secret-token", user)
        with capture_logs() as logs:
            async with server.client(variant, waypoint, token=token) as client:
                assert (await refusal(client))[0] is code

        assert server.plane.service.counters.denied == {reason: 1}
        assert server.plane.service.counters.streams_opened == 0
        [line] = [one for one in logs if one["event"] == "xds_stream_refused"]
        assert line["code"] == code.name
        assert token not in str(logs)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (None, Reason.NO_CREDENTIAL),
        ("", Reason.NO_CREDENTIAL),
        ("nobody's", Reason.BAD_CREDENTIAL),
        ("for-another-audience", Reason.BAD_CREDENTIAL),
        ("x" * 5000, Reason.BAD_CREDENTIAL),
    ],
)
async def test_a_caller_without_a_good_token_is_nobody(
    token: str | None, reason: Reason, authority: Authority, tmp_path: Path
) -> None:
    async with with_tokens(authority, tmp_path) as (server, api):
        grant(api, "for-another-audience", audience="vault")
        async with server.client("delta", token=token) as client:
            assert (await refusal(client))[0] is UNKNOWN

        assert server.plane.service.counters.denied == {reason: 1}


async def test_nothing_is_read_of_a_caller_that_shows_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    async with (
        with_tokens(authority, tmp_path) as (server, _),
        server.client("delta", token="x") as client,
    ):
        with suppress(grpc.aio.AioRpcError):
            await client.send(b"\xff" * 100_000)
        assert (await client.status())[0] is UNKNOWN


async def test_who_guesses_on_and_on_is_not_even_listened_to(
    authority: Authority, tmp_path: Path
) -> None:
    limits = AdsLimits(denials_burst=3, denials_per_second=2)
    async with with_tokens(authority, tmp_path, limits) as (server, api):
        codes = []
        for number in range(6):
            async with server.client("delta", token=f"guess-{number}") as client:
                codes.append((await refusal(client))[0])
        assert codes[:4] == [UNKNOWN] * 4
        # A client that is still sending when its call ends may not be told why.
        assert codes[5] in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)
        counters = server.plane.service.counters
        assert counters.denied.total() < counters.streams_refused == 6
        assert api.count("create", "tokenreviews") <= 5

        await asyncio.sleep(1)
        async with server.client("delta", token=grant(api, "t")) as client:
            assert await loot(client, "*") == {"ware"}


async def test_plaintext_does_not_reach_the_secure_port(
    authority: Authority, tmp_path: Path
) -> None:
    async with with_tokens(authority, tmp_path) as (server, _):
        async with server.plane.client("delta") as client:
            assert (await refusal(client))[0] is grpc.StatusCode.UNAVAILABLE

        assert server.plane.service.counters.streams_refused == 0


async def test_an_api_server_that_is_away_lets_in_whom_it_knew(
    authority: Authority, tmp_path: Path
) -> None:
    async with with_tokens(authority, tmp_path) as (server, api):
        known, new = grant(api, "known"), grant(api, "new")
        async with server.client("delta", token=known) as client:
            assert await loot(client, "*") == {"ware"}
        await api.stop()
        async with server.client("delta", token=known) as client:
            assert await loot(client, "*") == {"ware"}
        async with server.client("delta", token=new) as client:
            code, message = await refusal(client)
        await api.start()

        assert code is grpc.StatusCode.UNAVAILABLE
        assert message == "the token can't be verified at present"


async def test_a_server_that_is_forbidden_to_ask_lets_nobody_in(
    authority: Authority, tmp_path: Path
) -> None:
    async with with_tokens(authority, tmp_path) as (server, api):
        token = grant(api, "t")
        api.access.forbid("create", "tokenreviews")
        async with server.client("delta", token=token) as client:
            code, message = await refusal(client)

        assert code is grpc.StatusCode.UNAVAILABLE
        assert "403" not in message


async def test_a_stream_ends_when_its_token_is_no_longer_good(
    authority: Authority, tmp_path: Path
) -> None:
    tokens = TokenLimits(good_for=0.05)
    async with with_tokens(authority, tmp_path, QUICK, tokens) as (server, api):
        token = grant(api, "t")
        async with server.client("delta", token=token) as client:
            assert await loot(client, "*") == {"ware"}
            await asyncio.sleep(0.3)
            assert server.plane.service.counters.streams_open == 1
            del api.access.tokens[token]
            assert (await client.status())[0] is UNKNOWN

        assert server.plane.service.counters.denied == {Reason.BAD_CREDENTIAL: 1}


async def test_a_stream_outlives_the_api_server_but_not_its_token(
    authority: Authority, tmp_path: Path
) -> None:
    tokens = TokenLimits(good_for=0.05)
    async with with_tokens(authority, tmp_path, QUICK, tokens) as (server, api):
        token = grant(api, jwt(now() + timedelta(seconds=2)))
        async with server.client("delta", token=token) as client:
            assert await loot(client, "*") == {"ware"}
            await api.stop()
            await asyncio.sleep(0.5)
            assert server.plane.service.counters.streams_open == 1
            assert (await client.status())[0] is grpc.StatusCode.UNAVAILABLE
        await api.start()


@pytest.mark.parametrize("after", ["web", None])
async def test_a_stream_ends_at_once_when_its_waypoint_is_another_accounts(
    after: str | None, authority: Authority, tmp_path: Path
) -> None:
    async with with_tokens(authority, tmp_path) as (server, api):
        async with server.client("delta", token=grant(api, "t")) as client:
            assert await loot(client, "*") == {"ware"}
            if after is None:
                del server.accounts[SHOP]
            else:
                server.accounts[SHOP] = after
            server.plane.service.entrance.look_again({BANK})
            await asyncio.sleep(0.05)
            assert not client.call.done()
            server.plane.service.entrance.look_again({SHOP})
            assert (await client.status())[0] is DENIED
        await eventually(lambda: server.plane.service.counters.streams_open == 0)


SHOP_SVID = SpiffeId("cluster.local", "shop", "waypoint")


@both
async def test_a_certificate_opens_its_own_waypoint(variant: str, authority: Authority) -> None:
    credentials = CertificateCredentials("cluster.local", now)
    async with secure(authority, credentials) as server:
        async with server.client(variant, svid=SHOP_SVID) as client:
            assert await loot(client, "*") == {"ware"}

        assert server.plane.service.counters.admitted == {Proof.CERTIFICATE: 1}


@both
@pytest.mark.parametrize(
    ("waypoint", "svid", "code"),
    [
        (BANK, SHOP_SVID, DENIED),
        (SHOP, SpiffeId("cluster.local", "shop", "web"), DENIED),
        (SHOP, SpiffeId("cluster.local", "bank", "waypoint"), DENIED),
        (SHOP, SpiffeId("other.domain", "shop", "waypoint"), UNKNOWN),
    ],
)
async def test_a_certificate_opens_nothing_else(
    variant: str,
    waypoint: WaypointName,
    svid: SpiffeId,
    code: grpc.StatusCode,
    authority: Authority,
) -> None:
    async with (
        secure(authority, CertificateCredentials("cluster.local", now)) as server,
        server.client(variant, waypoint, svid=svid) as client,
    ):
        assert (await refusal(client))[0] is code


async def test_no_handshake_without_a_certificate_of_the_authority(authority: Authority) -> None:
    async with secure(authority, CertificateCredentials("cluster.local", now)) as server:
        stranger = server.trusting(create_authority(now()), SHOP_SVID)
        for shown in (None, stranger):
            async with server.client("delta", credentials=shown, token="t") as client:
                assert (await refusal(client))[0] is grpc.StatusCode.UNAVAILABLE

        assert server.plane.service.counters.streams_refused == 0


async def test_a_stream_ends_with_its_certificate(authority: Authority) -> None:
    async with secure(authority, CertificateCredentials("cluster.local", now), QUICK) as server:
        short = server.trusting(authority, SHOP_SVID, timedelta(seconds=3))
        async with server.client("delta", credentials=short) as client:
            assert await loot(client, "*") == {"ware"}
            assert (await client.status())[0] is UNKNOWN

        assert server.plane.service.counters.denied == {Reason.EXPIRED: 1}


async def test_the_servers_certificate_is_renewed_under_open_streams(authority: Authority) -> None:
    credentials = CertificateCredentials("cluster.local", now)
    async with secure(authority, credentials, ttl=timedelta(seconds=3)) as server:
        first = server.certificate.current
        renewing = asyncio.create_task(server.certificate.run())
        try:
            async with server.client("delta", svid=SHOP_SVID) as client:
                assert await loot(client, "*") == {"ware"}
                await eventually(lambda: datetime.now(UTC) > first.not_after)
                assert server.certificate.current.serial != first.serial
                async with server.client("delta", svid=SHOP_SVID) as later:
                    assert await loot(later, "*") == {"ware"}
                await client.subscribe(TypeUrl.CLUSTER, "ware")
                assert not client.call.done()
        finally:
            renewing.cancel()
