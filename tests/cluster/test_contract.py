"""What every API server does, the fake one too: reads, writes, lists, watches."""

import asyncio
from typing import Any

from tests.cluster.conftest import Kube

OURS = {"labelSelector": "contract"}  # a real cluster puts a ConfigMap into every namespace


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"contract": "yes"} | (labels or {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def create(kube: Kube, manifest: dict[str, Any]) -> dict[str, Any]:
    reply = await kube.client.create(kube.core("configmaps"), manifest)
    assert reply.code == 201, reply.body
    return reply.body


async def test_a_new_object_gets_what_only_the_server_can_know(kube: Kube) -> None:
    made = await create(kube, config_map("a", x="1"))
    metadata = made["metadata"]
    assert metadata["uid"]
    assert metadata["resourceVersion"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert metadata["namespace"] == kube.namespace
    assert made["data"] == {"x": "1"}


async def test_a_name_can_be_taken_once_and_generated(kube: Kube) -> None:
    await create(kube, config_map("a"))
    again = await kube.client.create(kube.core("configmaps"), config_map("a"))
    assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
    nameless = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "b-"}}
    names = {(await create(kube, nameless))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("b-") and len(name) > 2 for name in names)


async def test_what_is_not_there_is_not_found(kube: Kube) -> None:
    reply = await kube.client.get(kube.core("configmaps", "none"))
    assert (reply.code, reply.body["reason"]) == (404, "NotFound")
    assert reply.body["kind"] == "Status"
    nowhere = await kube.client.create("/api/v1/namespaces/nowhere/configmaps", config_map("a"))
    assert nowhere.code == 404
    assert (await kube.client.get("/apis/example.com/v9/things")).code == 404


async def test_a_body_of_another_type_or_with_a_version_is_refused(kube: Kube) -> None:
    secret = config_map("a") | {"kind": "Secret"}
    assert (await kube.client.create(kube.core("configmaps"), secret)).code == 400
    versioned = config_map("a")
    versioned["metadata"]["resourceVersion"] = "1"
    assert (await kube.client.create(kube.core("configmaps"), versioned)).code == 400


async def test_a_write_from_an_old_version_conflicts(kube: Kube) -> None:
    first = await create(kube, config_map("a", x="1"))
    path = kube.core("configmaps", "a")
    second = await kube.client.replace(path, first | {"data": {"x": "2"}})
    assert second.code == 200
    assert second.version != first["metadata"]["resourceVersion"]
    stale = await kube.client.replace(path, first | {"data": {"x": "3"}})
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")
    patch = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}}
    assert (await kube.client.merge(path, patch | {"data": {"x": "3"}})).code == 409


async def test_a_write_that_changes_nothing_keeps_the_version(kube: Kube) -> None:
    made = await create(kube, config_map("a", x="1"))
    path = kube.core("configmaps", "a")
    replaced = await kube.client.replace(path, made)
    patched = await kube.client.merge(path, {"data": {"x": "1"}})
    assert replaced.version == patched.version == made["metadata"]["resourceVersion"]


async def test_patches_of_three_kinds(kube: Kube) -> None:
    pod = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "one", "image": "one:1"}]},
            },
        },
    }
    collection = kube.group("apps/v1", "deployments")
    assert (await kube.client.create(collection, pod)).code == 201
    path = f"{collection}/a"
    containers = [{"name": "two", "image": "two:1"}]
    strategic = await kube.client.request(
        "PATCH",
        path,
        {"spec": {"template": {"spec": {"containers": containers}}}},
        kind="application/strategic-merge-patch+json",
    )
    assert _images(strategic.body) == {"one:1", "two:1"}
    replaced = await kube.client.request(
        "PATCH",
        path,
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "x:1"}],
        kind="application/json-patch+json",
    )
    assert "x:1" in _images(replaced.body)
    failed = await kube.client.request(
        "PATCH",
        path,
        [{"op": "test", "path": "/metadata/name", "value": "b"}],
        kind="application/json-patch+json",
    )
    assert failed.code == 422
    merged = await kube.client.merge(path, {"metadata": {"labels": {"a": "b", "c": None}}})
    assert merged.body["metadata"]["labels"] == {"a": "b"}


def _images(deployment: dict[str, Any]) -> set[str]:
    return {each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]}


async def test_a_dry_run_changes_nothing(kube: Kube) -> None:
    path = kube.core("configmaps")
    assert (await kube.client.create(path, config_map("a"), dryRun="All")).code == 201
    assert (await kube.client.get(f"{path}/a")).code == 404


async def test_a_service_gets_an_address_and_its_ports_are_completed(kube: Kube) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
    }
    made = (await kube.client.create(kube.core("services"), manifest)).body["spec"]
    assert made["clusterIP"].startswith("10.")
    assert made["clusterIPs"] == [made["clusterIP"]]
    assert made["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]


async def test_items_of_a_list_carry_no_type(kube: Kube) -> None:
    await create(kube, config_map("a"))
    listed = await kube.client.get(kube.core("configmaps"))
    assert listed.body["kind"] == "ConfigMapList"
    assert all("kind" not in item and "apiVersion" not in item for item in listed.body["items"])


async def test_metadata_alone_can_be_asked_for(kube: Kube) -> None:
    await create(kube, config_map("a", x="1"))
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    listed = await kube.client.request("GET", kube.core("configmaps"), accept=accept)
    assert listed.body["kind"] == "PartialObjectMetadataList"
    items = [item for item in listed.body["items"] if item["metadata"]["name"] == "a"]
    assert len(items) == 1
    assert "data" not in items[0]


async def test_label_selectors(kube: Kube) -> None:
    await create(kube, config_map("a", {"app": "x", "tier": "1"}))
    await create(kube, config_map("b", {"app": "y"}))
    await create(kube, config_map("c", {"team": "z"}))

    async def names(selector: str) -> list[str]:
        reply = await kube.client.get(kube.core("configmaps"), labelSelector=selector)
        return [name for name in reply.names() if name in ("a", "b", "c")]

    assert await names("app") == ["a", "b"]
    assert await names("!app,team") == ["c"]
    assert await names("app=x") == ["a"]
    assert await names("app==x,tier=1") == ["a"]
    assert await names("app in (x, y)") == ["a", "b"]
    assert await names("app notin (x),team") == ["c"]
    assert await names("app!=x,!team") == ["b"]
    bad = await kube.client.get(kube.core("configmaps"), labelSelector="a=(")
    assert bad.code == 400


async def test_field_selectors(kube: Kube) -> None:
    for name, kind in (("a", "Opaque"), ("b", "example.com/other")):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind}
        assert (await kube.client.create(kube.core("secrets"), secret)).code == 201
    path = kube.core("secrets")
    assert (await kube.client.get(path, fieldSelector="type=example.com/other")).names() == ["b"]
    assert "b" not in (await kube.client.get(path, fieldSelector="metadata.name!=b")).names()
    assert (await kube.client.get(path, fieldSelector="data.x=1")).code == 400


async def test_pages_show_one_state(kube: Kube) -> None:
    for index in range(5):
        await create(kube, config_map(f"p{index}", {"page": "yes"}))
    path, query = kube.core("configmaps"), {"labelSelector": "page=yes", "limit": "2"}
    first = await kube.client.get(path, **query)
    await create(kube, config_map("p9", {"page": "yes"}))
    second = await kube.client.get(
        path, **query, **{"continue": first.body["metadata"]["continue"]}
    )
    third = await kube.client.get(
        path, **query, **{"continue": second.body["metadata"]["continue"]}
    )
    names = first.names() + second.names() + third.names()
    assert names == ["p0", "p1", "p2", "p3", "p4"]
    assert "continue" not in third.body["metadata"]
    assert first.version == second.version == third.version


async def test_a_list_from_the_future_is_refused(kube: Kube) -> None:
    reply = await kube.client.get(kube.core("configmaps"), resourceVersion=2**60)
    assert (reply.code, reply.body["reason"]) == (504, "Timeout")


async def test_a_watch_goes_on_from_a_list(kube: Kube) -> None:
    await create(kube, config_map("before"))
    listed = await kube.client.get(kube.core("configmaps"))
    await create(kube, config_map("between"))
    path = kube.core("configmaps")
    async with kube.client.watch(path, resourceVersion=listed.version, **OURS) as watch:
        assert await watch.next_change() == ("ADDED", "between")
        await kube.client.merge(kube.core("configmaps", "between"), {"data": {"x": "1"}})
        assert await watch.next_change() == ("MODIFIED", "between")
        await kube.client.delete(kube.core("configmaps", "between"))
        kind, last = await watch.next()
        assert (kind, last["kind"], last["apiVersion"]) == ("DELETED", "ConfigMap", "v1")
        assert last["metadata"]["resourceVersion"] != listed.version


async def test_what_begins_or_ends_to_match_is_added_or_deleted(kube: Kube) -> None:
    path, name = kube.core("configmaps"), kube.core("configmaps", "a")
    await create(kube, config_map("a", {"on": "no"}))
    version = (await kube.client.get(path)).version
    async with kube.client.watch(path, resourceVersion=version, labelSelector="on=yes") as watch:
        for state, change in (("yes", "ADDED"), ("no", "DELETED")):
            await kube.client.merge(name, {"metadata": {"labels": {"on": state}}})
            kind, value = await watch.next()
            assert (kind, value["metadata"]["labels"]["on"]) == (change, "yes")


async def test_a_watch_from_nowhere_begins_with_what_there_is(kube: Kube) -> None:
    await create(kube, config_map("a", {"here": "1"}))
    path = kube.core("configmaps")
    async with kube.client.watch(path, labelSelector="here", timeoutSeconds=1) as watch:
        changes = [(kind, value["metadata"]["name"]) for kind, value in await watch.rest()]
    assert changes == [("ADDED", "a")]


async def test_a_watch_ends_in_time_and_has_a_bookmark(kube: Kube) -> None:
    path = kube.core("configmaps")
    version = (await kube.client.get(path)).version
    await create(kube, config_map("a"))
    async with kube.client.watch(
        path, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=4
    ) as watch:
        async with asyncio.timeout(15):
            events = await watch.rest()
    bookmarks = [value for kind, value in events if kind == "BOOKMARK"]
    assert bookmarks
    assert bookmarks[-1]["kind"] == "ConfigMap"
    assert bookmarks[-1]["metadata"]["resourceVersion"] != version


async def test_a_watch_list_ends_with_a_mark(kube: Kube) -> None:
    await create(kube, config_map("a", {"seen": "1"}))
    await create(kube, config_map("b", {"seen": "1"}))
    async with kube.client.watch(
        kube.core("configmaps"),
        labelSelector="seen",
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    ) as watch:
        events = [await watch.next() for _ in range(3)]
        assert [kind for kind, _ in events] == ["ADDED", "ADDED", "BOOKMARK"]
        mark = events[-1][1]["metadata"]
        assert mark["annotations"] == {"k8s.io/initial-events-end": "true"}
        await create(kube, config_map("c", {"seen": "1"}))
        assert await watch.next_change() == ("ADDED", "c")


async def test_a_watch_list_needs_its_match_rule(kube: Kube) -> None:
    reply = await kube.client.get(kube.core("configmaps"), watch="true", sendInitialEvents="true")
    assert reply.code == 422


async def test_a_watch_from_too_long_ago_ends_with_410(kube: Kube) -> None:
    async with kube.client.watch(kube.core("configmaps"), resourceVersion=1) as watch:
        kind, status = await watch.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


async def test_a_finalizer_holds_an_object(kube: Kube) -> None:
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    made = await create(kube, held)
    path = kube.core("configmaps", "a")
    version = made["metadata"]["resourceVersion"]
    async with kube.client.watch(kube.core("configmaps"), resourceVersion=version, **OURS) as watch:
        assert (await kube.client.delete(path)).code == 200
        kind, marked = await watch.next()
        assert kind == "MODIFIED"
        assert marked["metadata"]["deletionTimestamp"]
        await kube.client.merge(path, {"metadata": {"finalizers": None}})
        kind, _ = await watch.next()
        while kind == "MODIFIED":
            kind, _ = await watch.next()
        assert kind == "DELETED"
    assert (await kube.client.get(path)).code == 404


async def test_a_delete_can_be_for_one_incarnation_only(kube: Kube) -> None:
    made = await create(kube, config_map("a"))
    path = kube.core("configmaps", "a")
    wrong = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "other"}}
    assert (await kube.client.delete(path, wrong)).code == 409
    right = wrong | {"preconditions": {"uid": made["metadata"]["uid"]}}
    reply = await kube.client.delete(path, right)
    assert (reply.code, reply.body["status"]) == (200, "Success")


async def test_a_collection_is_deleted_by_selector(kube: Kube) -> None:
    await create(kube, config_map("a", {"go": "1"}))
    await create(kube, config_map("b"))
    path = kube.core("configmaps")
    assert (await kube.client.request("DELETE", path, labelSelector="go")).code == 200
    names = (await kube.client.get(path)).names()
    assert "a" not in names
    assert "b" in names


async def test_only_one_holder_wins_a_lease(kube: Kube) -> None:
    collection = kube.group("coordination.k8s.io/v1", "leases")
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15},
    }
    made = await kube.client.create(collection, lease)
    path = f"{collection}/leader"
    takes = [
        kube.client.replace(path, made.body | {"spec": lease["spec"] | {"holderIdentity": name}})
        for name in ("b", "c", "d")
    ]
    codes = sorted(reply.code for reply in await asyncio.gather(*takes))
    assert codes == [200, 409, 409]
    unversioned = await kube.client.replace(path, lease)
    assert unversioned.code in (409, 422)


async def test_a_token_is_reviewed_for_its_audience(kube: Kube) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}
    await kube.client.create(kube.core("serviceaccounts"), account)
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["istio-ca"], "expirationSeconds": 600},
    }
    issued = await kube.client.create(f"{kube.core('serviceaccounts', 'web')}/token", request)
    assert issued.code == 201
    token = issued.body["status"]["token"]
    status = await _review(kube, token, "istio-ca")
    assert status["authenticated"] is True
    assert status["audiences"] == ["istio-ca"]
    assert status["user"]["username"] == f"system:serviceaccount:{kube.namespace}:web"
    assert "system:serviceaccounts" in status["user"]["groups"]
    assert not (await _review(kube, token, "other")).get("authenticated")
    assert not (await _review(kube, "garbage", "istio-ca")).get("authenticated")


async def _review(kube: Kube, token: str, audience: str) -> dict[str, Any]:
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }
    reply = await kube.client.create("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert reply.code == 201
    status: dict[str, Any] = reply.body["status"]
    return status


async def test_an_administrator_may_do_all(kube: Kube) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await kube.client.create(path, review)).body["status"]["allowed"] is True
