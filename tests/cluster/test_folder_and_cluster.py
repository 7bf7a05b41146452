"""What Envoys are told does not depend on where objects come from: a folder, or a cluster."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.golden.case import all_cases, compiled
from tests.support.following import Following, following
from tests.support.kubeapi import KubeApi
from tests.support.kubeapi.cluster import Write
from tests.support.kubeapi.errors import ApiError
from translators.resources import parse
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.cli.checking import manifest_check
from xds_server.sources.folder import load_folder

EXAMPLES = Path(__file__).parents[2] / "examples"
CRDS = ("gateway-api-experimental", "istio")
YOUNGEST = "9999-01-01T00:00:00Z"  # what is not known to be older counts as this
OFFLINE_ONLY = frozenset(
    {
        "httproute/session-persistence",  # fields of releases that this cluster doesn't have
        "service/without-address",  # a cluster gives every Service one
    }
)

Said = dict[str, dict[str, bytes]]


def said(objects: Iterable[KubernetesObject]) -> Said:
    """Every byte that the Envoys of each waypoint are told, by resource."""
    compiler = compiled([Change(each.key, each) for each in objects])
    return {
        str(name): {str(key): made.body for key, made in compiler.resources(name).items()}
        for name in compiler.waypoints()
    }


class Put:
    """Manifests in a cluster, as a user applies them; ``refused`` are those it does not take."""

    def __init__(self, api: KubeApi, manifests: list[dict[str, Any]]) -> None:
        self._api = api
        self._made: list[dict[str, Any]] = []
        self.stored: list[dict[str, Any]] = []
        self.refused: set[ObjectKey] = set()
        for manifest in sorted(manifests, key=lambda each: each["kind"] != "Namespace"):
            self._put(manifest)

    def _put(self, manifest: dict[str, Any]) -> None:
        target = self._api._target_of(manifest)
        home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": target.namespace}}
        if target.namespace and not self._api.store.get(("", "namespaces"), ("", target.namespace)):
            self._put(home)
        write = Write(target.kind, target.version, target.namespace, "user", strict=True)
        try:
            stored = self._api.cluster.create(write, manifest)
        except ApiError:
            key = parse(manifest).key
            assert key is not None
            self.refused.add(key)
            return
        # Controllers write the status, and the ages are those of the example.
        created = manifest["metadata"].get("creationTimestamp", YOUNGEST)
        metadata = stored["metadata"] | {"creationTimestamp": created}
        status = {"status": manifest["status"]} if "status" in manifest else {}
        final = self._api.store.put(target.kind.key, {**stored, "metadata": metadata, **status})
        self.stored.append(final)
        self._made.append(manifest)

    def remove(self) -> None:
        for manifest in reversed(self._made):
            self._api.remove(manifest)


def manifests_in(path: Path) -> list[dict[str, Any]]:
    files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text()) if each]


def _has_ended(manifest: dict[str, Any]) -> bool:
    """Pods that the cluster is not even asked for; in a folder they count for nothing."""
    return manifest.get("status", {}).get("phase") in ("Succeeded", "Failed")


async def both(api: KubeApi, follow: Following, path: Path) -> tuple[Said, Said]:
    """What is said for a file or folder, by way of a folder and of a cluster."""
    before = dict(follow.objects)
    folder = load_folder(path, manifest_check(pytest.fail))
    manifests = manifests_in(path)
    put = Put(api, manifests)
    assert put.refused <= {problem.object for problem in folder.problems}
    taken = [each for each in folder.objects if each.key not in put.refused]
    wanted = {made.key: made.value for made in map(parse, put.stored) if made.key and made.value}
    for ended in (parse(each).key for each in manifests if _has_ended(each)):
        wanted.pop(ended, None)  # type: ignore[arg-type]
    try:
        await follow.until(lambda: wanted.items() <= follow.objects.items())
    except TimeoutError as error:
        missing = [str(key) for key in wanted if follow.objects.get(key) != wanted[key]]
        error.add_note(f"{path}: {missing}")
        raise
    try:
        return said(taken), said(follow.objects.values())
    finally:
        put.remove()
        await follow.until(lambda: follow.objects.keys() <= before.keys())


@pytest.mark.parametrize("example", ["bookinfo", "compose"])
async def test_every_example_gives_the_same_bytes(example: str) -> None:
    async with KubeApi(CRDS) as api, following(api) as follow:
        folder, cluster = await both(api, follow, EXAMPLES / example)
    assert folder
    assert all(folder.values())
    assert folder == cluster


async def test_every_golden_case_gives_the_same_bytes() -> None:
    compared, differing = 0, []
    async with KubeApi(CRDS) as api, following(api) as follow:
        for case in all_cases():
            if case.name in OFFLINE_ONLY:
                continue
            folder, cluster = await both(api, follow, case.folder / "input.yaml")
            compared += bool(folder)
            if folder != cluster:
                differing.append(case.name)
    assert differing == []
    assert compared > 50
