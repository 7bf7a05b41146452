"""The golden cases of wildcards, executed: each form matches what it says, and its neighbour not.

In an ALLOW policy, in a DENY policy, in one for AUDIT, and in a CUSTOM one whose provider consents
to nothing; over HTTP, over TCP declared and sniffed. CVE-2020-16844 was a form that worked in one
of these combinations only.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from tests.support.spoken import CLOSED, Spoken, status
from tests.support.stream import StreamClosedError, TcpStream
from tests.support.trials import on_trial
from translators.ir.external_authorization import AuthzProvider, CheckProtocol
from translators.ir.waypoint import Mesh
from xds_server.demo.ztunnel import Address
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import Trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = Path(__file__).parents[1] / "golden" / "authorizationpolicy"
ACTIONS = ("ALLOW", "DENY", "AUDIT", "CUSTOM")

# On trial nobody speaks gRPC, so that whoever is asked about does not get consent.
MESH = Mesh(
    providers=(AuthzProvider("opa", "opa.auth.svc.cluster.local", 9191, CheckProtocol.GRPC),)
)
HTTP, TCP, SNIFFED, WHAT = (
    Address(ip, port)
    for ip, port in (
        ("10.96.0.1", 80),
        ("10.96.0.1", 90),
        ("10.96.0.1", 100),
        ("10.96.0.2", 80),
    )
)
ELSEWHERE = "10.1.1.1"

# Namespace, account and address of the caller; whether a rule is about it.
WHO = [
    ("exact", "a", ELSEWHERE, True),
    ("exact", "ab", ELSEWHERE, False),
    ("exactly", "a", ELSEWHERE, False),
    ("prefixed", "a", ELSEWHERE, True),
    ("pr", "a", ELSEWHERE, False),
    ("x", "suffix", ELSEWHERE, True),
    ("x", "xsuffix", ELSEWHERE, False),
    ("x", "suffixx", ELSEWHERE, False),
    ("x", "a", "10.3.200.1", True),
    ("x", "a", "10.4.0.1", False),
    ("x", "b", "10.5.0.1", True),
    ("x", "a", "10.5.0.1", False),
    ("ns-exact", "a", ELSEWHERE, True),
    ("ns-exactly", "a", ELSEWHERE, False),
    ("x", "ns-exact", ELSEWHERE, False),
    ("ns-prefixed", "a", ELSEWHERE, True),
    ("x-ns-pre", "a", ELSEWHERE, False),
    ("x-ns-suffix", "a", ELSEWHERE, True),
    ("ns-suffix", "a", ELSEWHERE, False),
    ("of", "account", ELSEWHERE, True),
    ("of", "accounts", ELSEWHERE, False),
    ("off", "account", ELSEWHERE, False),
    ("x", "a", "10.6.0.1", True),
]

WHAT_IS_ASKED = [
    (Spoken("/exact"), True),
    (Spoken("/exact?x"), True),
    (Spoken("/exactly"), False),
    (Spoken("/x/exact"), False),
    (Spoken("/prefixed"), True),
    (Spoken("/prefi"), False),
    (Spoken("/x/suffix"), True),
    (Spoken("/suffix"), True),
    (Spoken("/xsuffix"), False),
    (Spoken("/suffix/x"), False),
    (Spoken("/one/a/x"), True),
    (Spoken("/one/a/b/x"), False),
    (Spoken("/one/a/xx"), False),
    (Spoken("/all/a/b"), True),
    (Spoken("/all/"), True),
    (Spoken("/all"), False),
    (Spoken("/", "PATCH"), True),
    (Spoken(host="exact.example"), True),
    (Spoken(host="EXACT.example:80"), True),
    (Spoken(host="x.exact.example"), False),
    (Spoken(host="exactXexample"), False),
    (Spoken(host="prefix.org"), True),
    (Spoken(host="prefixed.org"), False),
    (Spoken(host="a.suffix.example"), True),
    (Spoken(host="suffix.example"), False),
    (Spoken(method="DELETE"), True),
    (Spoken(method="PUT"), True),
    (Spoken(method="POST"), False),
    (Spoken(headers=(("x-exact", "a.b"),)), True),
    (Spoken(headers=(("x-exact", "aXb"),)), False),
    (Spoken(headers=(("x-prefix", "a.c"),)), True),
    (Spoken(headers=(("x-prefix", "aXc"),)), False),
    (Spoken(headers=(("x-suffix", "c.b"),)), True),
    (Spoken(headers=(("x-suffix", "cXb"),)), False),
    (Spoken(headers=(("x-any", "a"),)), True),
    (Spoken(headers=(("x-none", "a"),)), False),
]


def caller(namespace: str, account: str) -> SpiffeId:
    return SpiffeId("cluster.local", namespace, account)


def allowed(action: str, matches: bool) -> bool:
    return {"ALLOW": matches, "AUDIT": True}.get(action, not matches)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trials(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Trial]]:
    callers = [caller(namespace, account) for namespace, account, _, _ in WHO]
    async with AsyncExitStack() as stack:
        running = {}
        for action in ACTIONS:
            text = (CASES / f"wildcards-{action.lower()}" / "input.yaml").read_text()
            folder = tmp_path_factory.mktemp(action)
            trial = on_trial(folder, list(yaml.safe_load_all(text))[1:], callers, MESH)
            running[action] = await stack.enter_async_context(trial)
        yield running


async def gets_through(trial: Trial, who: SpiffeId, source: str, to: Address) -> bool:
    """Whether bytes that are no HTTP reach the destination, which answers them with an error."""
    stream = TcpStream(*await trial.open(who, source, to))
    async with stream:
        await stream.write(b"\x00\x01\r\n\r\n")
        try:
            return (await stream.read()).startswith(b"HTTP/1.1 400")
        except (StreamClosedError, ConnectionError):
            return False


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("namespace", "account", "source", "matches"), WHO)
async def test_who_asks(
    trials: dict[str, Trial],
    action: str,
    namespace: str,
    account: str,
    source: str,
    matches: bool,
) -> None:
    who, trial = caller(namespace, account), trials[action]
    expected = allowed(action, matches)
    for to in (HTTP, SNIFFED):
        got = await status(trial, who, to, Spoken(), source=source)
        assert (got == 200, got in (403, CLOSED)) == (expected, not expected)
    for to in (TCP, SNIFFED):
        assert await gets_through(trial, who, source, to) is expected


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("request_", "matches"), WHAT_IS_ASKED)
async def test_what_is_asked(
    trials: dict[str, Trial], action: str, request_: Spoken, matches: bool
) -> None:
    expected = 200 if allowed(action, matches) else 403
    for http2 in (False, True):
        got = await status(trials[action], caller("x", "a"), WHAT, request_, http2=http2)
        assert got == expected
