"""A replica with the roles that the chart gives it, and no others: all works, none is too many."""

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.install.render import INSTALL, NAMESPACE
from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.following import httproute, service
from tests.support.kubeapi import KubeApi
from tests.support.kubeapi.client import Client
from tests.support.manifests import gateway
from tests.support.replica import replica
from translators.deployment import KINDS, DeploymentSettings
from xds_server.serving.permissions import Permission, permissions
from xds_server.sources.kubernetes.reflector import Health
from xds_server.status import WRITTEN

CRDS = ("gateway-api-experimental", "istio")
ROLES = frozenset({"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})
DEPLOYS = DeploymentSettings("waypost.waypost-system.svc:0")


def installed(api: KubeApi) -> str:
    """Install the account and its roles; the result is a token of it."""
    for manifest in yaml.safe_load_all(INSTALL.read_text()):
        if manifest and manifest["kind"] in {*ROLES, "Namespace"}:
            api.put(manifest)
    account = api.store.get(("", "serviceaccounts"), (NAMESPACE, "waypost"))
    assert account is not None
    api.access.enforces_roles = True
    return api.access.issue_token(account, [])


@pytest.mark.parametrize("watch_list", [True, False], ids=["streamed", "paged"])
async def test_a_replica_needs_no_more_and_no_less(
    watch_list: bool, tmp_path: Path, certs: CertFolder
) -> None:
    async with KubeApi(CRDS, watch_list=watch_list) as api:
        token = installed(api)
        api.put(service("s", labels={"istio.io/use-waypoint": "nobody"}))
        async with replica(
            api, tmp_path, certs.authority, deploys=DEPLOYS, token=token, namespace=NAMESPACE
        ) as one:
            await one.settled()
            api.put(dict(gateway("default")))
            await eventually(lambda: api.count("patch", "deployments") == 1)
            api.put(service("t", labels={"istio.io/use-waypoint": "nobody"}))
            await eventually(lambda: one.writer.writes >= 3)
            assert set(one.server._source.health().values()) == {Health.CURRENT}  # type: ignore[attr-defined]
            assert [each for each in one.server._problems() if "cannot" in str(each)] == []
            await asyncio.sleep(0.3)  # the lease is renewed meanwhile
        used = {(each.verb, each.resource) for each in api.requests}
    permitted = {(each.verb, each.resource) for each in permissions()}
    assert used <= permitted
    used |= {("create", one) for verb, one in used if verb == "patch" and "/" not in one}  # applied
    unused = permitted - used - _of_objects_that_are_not_here()
    assert unused <= (_lists() if watch_list else set())


def _lists() -> set[tuple[str, str]]:
    """A server that streams is asked for no list, but for those of a survey."""
    return {("list", each.resource) for each in permissions() if each.verb == "list"}


def _of_objects_that_are_not_here() -> set[tuple[str, str]]:
    """What is done with objects of kinds of which there is none, or that nothing makes unwanted."""
    others = [each.plural for each in WRITTEN if each.kind not in ("Service", "Gateway")]
    optional = [each.plural for each in KINDS if each.is_optional]
    return {
        *(("get", one) for one in (*others, *optional)),
        *(("patch", f"{one}/status") for one in others),
        *((verb, one) for one in optional for verb in ("create", "patch")),
        *(("delete", each.plural) for each in KINDS),
        ("create", "tokenreviews"),
    }


async def test_without_one_of_them_it_is_said_which_is_missing(
    tmp_path: Path, certs: CertFolder
) -> None:
    async with KubeApi(CRDS) as api:
        token = installed(api)
        async with replica(api, tmp_path, certs.authority, token=token, namespace=NAMESPACE) as one:
            await one.settled()
            api.access.forbid("watch", "httproutes")
            api.reset_connections()
            await eventually(
                lambda: any(
                    "httproutes" in str(each) and "cannot watch" in str(each)
                    for each in one.server._problems()
                ),
                timeout_s=20,
            )
            api.access.permit("watch", "httproutes")
            api.put(httproute("r"))
            health = one.server._source.health  # type: ignore[attr-defined]
            await eventually(lambda: set(health().values()) == {Health.CURRENT}, timeout_s=20)
            await eventually(lambda: one.server._compiler.counts()["HTTPRoute"] == 1)
            assert one.server._problems() == []


async def test_an_account_may_do_what_its_roles_permit_and_nothing_else() -> None:
    async with KubeApi(CRDS) as api:
        client = Client(api.url, installed(api))
        try:
            assert (await client.get("/api/v1/services")).code == 200
            assert (await client.get("/api/v1/secrets")).code == 403
            leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
            assert (await client.get(f"{leases}/another")).code == 403
            assert (await client.get(f"{leases}/waypost-status")).code == 404
            assert (await client.get(leases.replace(NAMESPACE, "default"))).code == 403
            route = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/r"
            assert (await client.apply(route, httproute("r"), "me")).code == 403
        finally:
            await client.close()


def test_permissions_are_told_apart() -> None:
    wanted = permissions()
    assert len(set(wanted)) == len(wanted)
    assert Permission("", "secrets", "list") not in wanted
    assert {each.verb for each in wanted} <= {
        *("get", "list", "watch"),
        *("create", "update", "patch", "delete"),
    }
