"""Policies that are only watched refuse nobody, and are counted each action apart."""

from typing import Any

import pytest

from tests.support.manifests import allows, policy
from tests.support.mesh import Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

WATCHED = {"istio.io/dry-run": "true"}


def watched(name: str, *rules: Any, action: str) -> dict[str, Any]:
    manifest = policy(name, "demo", *rules, action=action, service="watched")
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": WATCHED}}


async def counts(mesh: Mesh) -> dict[tuple[str, str], int]:
    """Dry runs of the service ``watched``, by action and result."""
    pattern = r"inbound-vip_80_http_watched.*istio_dry_run_(allow|deny)_\.shadow_(allowed|denied)$"
    found = await mesh.envoy.stats(pattern)
    return {
        (action, result): sum(
            value for name, value in found.items() if f"_{action}_.shadow_{result}" in name
        )
        for action in ("allow", "deny")
        for result in ("allowed", "denied")
    }


async def test_a_dry_run_is_counted_and_refuses_nobody(mesh: Mesh) -> None:
    web = mesh.offer("watched")
    friends = watched("friends", allows({"namespaces": ["nobody"]}), action="ALLOW")
    admin = watched("admin", allows(None, {"paths": ["/admin"]}), action="DENY")
    await mesh.put("watched", web.manifest, friends, admin)
    before = await counts(mesh)
    for path in ("/", "/admin", "/admin"):
        assert (await mesh.get(web.http, path)).status == 200
    after = await counts(mesh)
    assert {key: after[key] - before[key] for key in after} == {
        ("allow", "allowed"): 0,
        ("allow", "denied"): 3,
        ("deny", "allowed"): 1,
        ("deny", "denied"): 2,
    }


async def test_a_dry_run_does_not_weaken_what_is_enforced(mesh: Mesh) -> None:
    web = mesh.offer("watched")
    everybody = watched("everybody", {}, action="ALLOW")
    enforced = policy("enforced", "demo", allows({"namespaces": ["nobody"]}), service="watched")
    await mesh.put("watched", web.manifest, everybody, enforced)
    assert (await mesh.get(web.http)).status == 403
