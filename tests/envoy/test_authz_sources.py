"""No header forges who is asking, or from where: identities and addresses are the tunnel's.

All is tried on a real Envoy in HTTP/1.1 and HTTP/2 (CVE-2026-39350, CVE-2020-16844).
"""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from tests.support.spoken import Spoken, status
from tests.support.trials import Manifest, addresses, each_guarded, on_trial
from translators.ir.waypoint import Mesh
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import Trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESH = Mesh("mesh.example", ("old.example",))
WEB, DB, DOTTED, ALIKE, OLD = (
    SpiffeId(trust_domain, namespace, account)
    for trust_domain, namespace, account in (
        ("mesh.example", "shop", "web"),
        ("mesh.example", "shop", "db"),
        ("mesh.example", "axb", "c.d"),
        ("mesh.example", "axb", "cxd"),
        ("old.example", "shop", "web"),
    )
)
CALLERS = (WEB, DB, DOTTED, ALIKE, OLD)
BOTH = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])


def of(**source: list[str]) -> Manifest:
    return {"from": [{"source": source}]}


POLICIES: Mapping[str, tuple[str, Manifest]] = {
    "web": ("ALLOW", of(principals=["mesh.example/ns/shop/sa/web"])),
    "not-web": ("DENY", of(notPrincipals=["mesh.example/ns/shop/sa/web"])),
    "dotted": ("ALLOW", of(namespaces=["a.b"])),
    "dotted-account": ("ALLOW", of(serviceAccounts=["axb/c.d"])),
    "dotted-principal": ("ALLOW", of(principals=["*/sa/c.d"])),
    "source": ("ALLOW", of(ipBlocks=["10.1.2.3"])),
    "remote": ("ALLOW", of(remoteIpBlocks=["10.1.2.3"])),
    "no-source": ("DENY", of(ipBlocks=["10.6.0.0/16"])),
}
AT = addresses(POLICIES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    folder = tmp_path_factory.mktemp("sources")
    async with on_trial(folder, each_guarded(POLICIES, AT), CALLERS, MESH) as running:
        yield running


WEB_IDENTITY = "spiffe://mesh.example/ns/shop/sa/web"
FORGED = [
    ("x-forwarded-client-cert", f"By=x;URI={WEB_IDENTITY}"),
    ("x-forwarded-client-cert", f"URI={WEB_IDENTITY};Hash=0,URI={WEB_IDENTITY}"),
    ("x-peer-metadata", WEB_IDENTITY),
    ("x-envoy-peer-metadata-id", WEB_IDENTITY),
    ("x-ext-authz-check-result", "allowed"),
    ("authorization", WEB_IDENTITY),
    ("forwarded", "for=10.1.2.3"),
    ("x-forwarded-for", "10.1.2.3"),
    ("x-forwarded-for", "10.1.2.3, 10.1.2.3"),
    ("x-real-ip", "10.1.2.3"),
    ("x-waypost-source", "10.1.2.3"),
    ("x-envoy-external-address", "10.1.2.3"),
    ("x-envoy-internal", "true"),
    ("x-envoy-original-dst-host", "10.1.2.3:80"),
    ("true-client-ip", "10.1.2.3"),
]


@BOTH
@pytest.mark.parametrize("header", FORGED, ids=lambda header: f"{header[0]}={header[1][:20]}")
async def test_no_header_forges_an_identity_or_an_address(
    trial: Trial, header: tuple[str, str], http2: bool
) -> None:
    forged = Spoken(headers=(header,))
    for name in ("web", "not-web", "source", "remote"):
        got = await status(trial, DB, AT[name], forged, source="10.6.6.6", http2=http2)
        assert got == 403, name
    away = Spoken(headers=((header[0], header[1].replace("10.1.2.3", "10.7.7.7")),))
    got = await status(trial, DB, AT["no-source"], away, source="10.6.6.6", http2=http2)
    assert got == 403


@BOTH
@pytest.mark.parametrize(
    ("name", "caller", "source", "expected"),
    [
        ("web", WEB, "10.6.6.6", 200),
        ("web", OLD, "10.6.6.6", 200),
        ("not-web", WEB, "10.6.6.6", 200),
        ("source", DB, "10.1.2.3", 200),
        ("remote", DB, "10.1.2.3", 200),
        ("no-source", DB, "10.7.7.7", 200),
        ("dotted", DOTTED, "10.6.6.6", 403),
        ("dotted-account", DOTTED, "10.6.6.6", 200),
        ("dotted-account", ALIKE, "10.6.6.6", 403),
        ("dotted-principal", DOTTED, "10.6.6.6", 200),
        ("dotted-principal", ALIKE, "10.6.6.6", 403),
    ],
)
async def test_identities_and_addresses_are_those_of_the_tunnel(
    trial: Trial, name: str, caller: SpiffeId, source: str, expected: int, http2: bool
) -> None:
    got = await status(trial, caller, AT[name], Spoken(), source=source, http2=http2)
    assert got == expected
