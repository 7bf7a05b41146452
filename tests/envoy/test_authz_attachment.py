"""What a policy is attached to decides whom it guards: services, waypoints, classes, several."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.spoken import Spoken, status
from tests.support.trials import Manifest, on_trial, policy, service
from translators.ir.waypoint import Mesh
from xds_server.demo.ztunnel import Address
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import Trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAY_GROUP = "gateway.networking.k8s.io"
NAMES = ("one", "two", "three", "empty", "anything", "nothing", "lost")
AT = {name: Address(f"10.96.0.{number}", 80) for number, name in enumerate(NAMES, 1)}
CALLER = SpiffeId("cluster.local", "demo", "a")
CLASS: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "istio-waypoint"},
    "spec": {"controllerName": "istio.io/mesh-controller"},
}


def refuses(path: str) -> Manifest:
    return {"to": [{"operation": {"paths": [path]}}]}


def aimed(manifest: Manifest, *targets: tuple[str, str], namespace: str = "demo") -> Manifest:
    """The policy in a namespace, with (kind, name) as its targets."""
    refs = [
        {"group": "" if kind == "Service" else GATEWAY_GROUP, "kind": kind, "name": name}
        for kind, name in targets
    ]
    metadata = {**manifest["metadata"], "namespace": namespace}
    return {**manifest, "metadata": metadata, "spec": {**manifest["spec"], "targetRefs": refs}}


POLICIES = [
    aimed(policy("both", "", "DENY", refuses("/both")), ("Service", "one"), ("Service", "two")),
    aimed(policy("some", "", "DENY", refuses("/some")), ("Service", "one"), ("Service", "gone")),
    aimed(policy("whole", "", "DENY", refuses("/whole")), ("Gateway", "waypoint")),
    aimed(policy("another", "", "DENY", refuses("/another")), ("Gateway", "other")),
    aimed(
        policy("class", "", "DENY", refuses("/class")),
        ("GatewayClass", "istio-waypoint"),
        namespace="istio-system",
    ),
    aimed(policy("no-class", "", "DENY", refuses("/no-class")), ("GatewayClass", "istio-waypoint")),
    aimed(
        policy("foreign", "", "DENY", refuses("/foreign")), ("Service", "one"), namespace="other"
    ),
    {
        **policy("empty", "empty", "ALLOW"),
        "spec": {"targetRefs": [{"kind": "Service", "name": "empty"}]},
    },
    policy("anything", "anything", "ALLOW", {}),
    policy("nothing", "nothing", "DENY", {}),
    policy("lost", "lost", "ALLOW", {}),
]
POLICIES[-1]["spec"]["action"] = ["ALLOW"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    services = [service(name, [AT[name].ip], {"http": 80}) for name in NAMES]
    folder = tmp_path_factory.mktemp("attachment")
    async with on_trial(folder, [CLASS, *services, *POLICIES], [CALLER], Mesh()) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/both", {"one", "two"}),
        ("/some", {"one"}),
        ("/whole", {"one", "two", "three"}),
        ("/class", {"one", "two", "three"}),
        ("/another", set()),
        ("/no-class", set()),
        ("/foreign", set()),
        ("/", set()),
    ],
)
async def test_a_policy_guards_its_targets_and_nothing_else(
    trial: Trial, path: str, refused: set[str]
) -> None:
    for name in ("one", "two", "three"):
        got = await status(trial, CALLER, AT[name], Spoken(path))
        assert got == (403 if name in refused else 200), name


@pytest.mark.parametrize(
    ("name", "expected"), [("empty", 403), ("anything", 200), ("nothing", 403), ("lost", 403)]
)
async def test_policies_that_say_little(trial: Trial, name: str, expected: int) -> None:
    assert await status(trial, CALLER, AT[name], Spoken()) == expected
