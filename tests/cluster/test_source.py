"""The cluster source against an API server: what it reads, and how it keeps up."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.following import following, httproute, only, pod, port_of, service
from tests.support.kubeapi import Delay, Fault, KubeApi
from translators.resources.metadata import ObjectKey
from xds_server.sources.kubernetes import KubernetesSource
from xds_server.sources.kubernetes.kinds import RESOURCES
from xds_server.sources.kubernetes.login import LoginError, choose_login
from xds_server.sources.kubernetes.reflector import Health
from xds_server.validation.schemas import load_crds

CRDS = ("gateway-api-experimental", "istio")
both_ways = pytest.mark.parametrize("watch_list", [True, False], ids=["streamed", "paged"])


@both_ways
async def test_reads_all_objects_then_is_synced_then_follows(watch_list: bool) -> None:
    async with KubeApi(CRDS, watch_list=watch_list) as api:
        api.put(service("a"))
        api.put(httproute("r"))
        async with following(api) as follow:
            assert follow.names("Service") == ["a"]
            assert follow.names("HTTPRoute") == ["r"]
            assert "default" in follow.names("Namespace")
            assert follow.problems() == []
            api.put(service("b"))
            await follow.until_named("Service", "a", "b")
            api.put(service("b", port=81))
            await follow.until(
                lambda: port_of(follow.objects[ObjectKey("Service", "default", "b")]) == 81
            )
            api.remove(service("a"))
            await follow.until_named("Service", "b")


@both_ways
async def test_reads_more_objects_than_a_page_holds(watch_list: bool) -> None:
    async with KubeApi(watch_list=watch_list) as api:
        names = [f"s{index:03}" for index in range(600)]
        for name in names:
            api.put(service(name))
        async with following(api, "services") as follow:
            assert follow.names("Service") == names
            assert len(follow.changes) == 600
            assert api.count("list", "services") == (0 if watch_list else 3)


async def test_every_kind_is_listed_and_watched() -> None:
    async with KubeApi(CRDS) as api, following(api) as follow:
        assert set(follow.source.health().values()) == {Health.CURRENT}
        watched = {resource for verb, resource in api.counts if verb == "watch"}
        assert watched == {each.plural for each in RESOURCES}


async def test_a_change_arrives_at_once() -> None:
    async with KubeApi() as api, following(api, "services") as follow:
        before = time.monotonic()
        api.put(service("a"))
        await follow.until_named("Service", "a")
        assert time.monotonic() - before < 0.5


async def test_is_synced_only_when_the_last_kind_is() -> None:
    async with KubeApi(CRDS) as api:
        api.put(service("a"))
        api.put(httproute("r"))
        api.faults.add(Fault(Delay(0.5), "watch", "httproutes"))
        async with following(api, until_synced=False) as follow:
            await follow.until_named("Service", "a")
            assert follow.times_synced == 0
            await follow.until(lambda: follow.times_synced == 1)
            assert follow.names("HTTPRoute") == ["r"]


async def test_kinds_that_are_not_installed_are_reported_and_no_reason_to_wait() -> None:
    async with KubeApi() as api, following(api) as follow:
        health = follow.source.health()
        assert health["services"] is Health.CURRENT
        assert health["httproutes.gateway.networking.k8s.io"] is Health.ABSENT
        absent = [problem for problem in follow.problems() if "is not installed" in problem]
        assert len(absent) == sum(state is Health.ABSENT for state in health.values())


async def test_a_kind_that_is_installed_later_is_followed_from_then_on() -> None:
    async with KubeApi() as api, following(api, "httproutes") as follow:
        for crd in load_crds(CRDS[0]):
            api.put(dict(crd))
        api.put(httproute("r"))
        await follow.until_named("HTTPRoute", "r")
        assert follow.problems() == []
        api.put(httproute("s"))
        await follow.until_named("HTTPRoute", "r", "s")


async def test_an_older_version_is_read_where_the_newer_is_not_served() -> None:
    async with KubeApi() as api:
        api.put(_only_v1beta1())
        api.put(httproute("r", "v1beta1"))
        async with following(api, "httproutes") as follow:
            assert follow.names("HTTPRoute") == ["r"]
            assert follow.problems() == []


def _only_v1beta1() -> dict[str, Any]:
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        },
    }
    names = {"kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "httproutes.gateway.networking.k8s.io"},
        "spec": {
            "group": "gateway.networking.k8s.io",
            "names": names,
            "scope": "Namespaced",
            "versions": [version],
        },
    }


async def test_pods_that_have_ended_are_gone() -> None:
    async with KubeApi() as api:
        api.put(pod("done", "Succeeded"))
        api.put(pod("runs"))
        async with following(api, "pods") as follow:
            assert follow.names("Pod") == ["runs"]
            api.put(pod("runs", "Failed"))
            await follow.until_named("Pod")


async def test_bookmarks_keep_a_quiet_kind_young_and_its_watch_alive() -> None:
    async with KubeApi(CRDS, log_size=50, bookmarks_s=0.1, watch_list=False) as api:
        api.put(httproute("r"))
        async with following(api, "httproutes") as follow:
            for index in range(300):
                api.put(service(f"s{index}"))
                if index % 10 == 0:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            age = follow.source.ages()["httproutes.gateway.networking.k8s.io"]
            assert age is not None
            assert age < 0.3
            watches = api.count("watch", "httproutes")
            api.reset_connections()
            await follow.until(lambda: api.count("watch", "httproutes") > watches)
            api.put(httproute("s"))
            await follow.until_named("HTTPRoute", "r", "s")
            assert len(follow.changes) == 2
            assert api.count("list", "httproutes") == 1  # it went on where it was
            assert api.count("watch", "httproutes") == watches + 1


async def test_nothing_is_known_of_a_kind_before_its_list() -> None:
    async with KubeApi() as api:
        api.faults.add(Fault(Delay(1), times=None))
        async with following(api, "services", until_synced=False) as follow:
            await follow.until(lambda: follow.source.ages() == {"services": None})


async def test_a_kubeconfig_or_context_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    missing = KubernetesSource(choose_login(tmp_path / "none"), only("services"))
    with pytest.raises(LoginError):
        await missing.run(lambda _: None, lambda: None)
    api = KubeApi()
    path = api.write_kubeconfig(tmp_path / "kubeconfig")
    other = KubernetesSource(choose_login(path, "another"), only("services"))
    with pytest.raises(LoginError, match="another"):
        await other.run(lambda _: None, lambda: None)


async def test_a_context_can_be_chosen(tmp_path: Path) -> None:
    async with KubeApi() as api:
        path = api.write_kubeconfig(tmp_path / "kubeconfig")
        path.write_text(path.read_text().replace("current-context: test", "current-context: none"))
        synced = asyncio.Event()
        source = KubernetesSource(choose_login(path, "test"), only("services"))
        running = asyncio.create_task(source.run(lambda _: None, synced.set))
        await asyncio.wait_for(synced.wait(), 10)
        running.cancel()
        await asyncio.wait([running])


async def test_inside_a_cluster_the_service_account_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    source = KubernetesSource(choose_login(), only("services"))
    with pytest.raises(LoginError, match="service account"):
        await source.run(lambda _: None, lambda: None)
    assert choose_login(tmp_path / "kubeconfig") is not choose_login()
