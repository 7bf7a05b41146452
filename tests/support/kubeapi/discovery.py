"""What the server tells about its own API: versions, groups, resources, and a little OpenAPI."""

from collections.abc import Iterable
from typing import Any

from tests.support.kubeapi.errors import no_such_path
from tests.support.kubeapi.kinds import Kind
from tests.support.kubeapi.store import Object

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0",
    "gitCommit": "0000000",
    "gitTreeState": "clean",
    "buildDate": "2025-08-27T00:00:00Z",
    "goVersion": "go1.24",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def discover(path: str, kinds: Iterable[Kind]) -> Object | None:
    """The answer for a path that is about the API itself; None for any other path.

    Raises ``ApiError`` 404 for a group version that is not served.
    """
    kinds = list(kinds)
    match [part for part in path.split("/") if part]:
        case ["version"]:
            return _VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            groups = [_group(name, kinds) for name in sorted({k.group for k in kinds} - {""})]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if any(kind.group == group for kind in kinds):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, kinds)}
        case ["api", "v1"]:
            return _resources("", "v1", kinds)
        case ["apis", group, version]:
            return _resources(group, version, kinds)
        case ["openapi", "v3"]:
            return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}"} for p in _paths(kinds)}}
        case ["openapi", "v3", "api", "v1"]:
            return _openapi("", "v1", kinds)
        case ["openapi", "v3", "apis", group, version]:
            return _openapi(group, version, kinds)
        case _:
            return None


def _group(name: str, kinds: list[Kind]) -> Object:
    found = {v for kind in kinds if kind.group == name for v in kind.versions}
    versions = [
        {"groupVersion": f"{name}/{v}", "version": v}
        for v in sorted(found, key=lambda v: (len(v), v))
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str, kinds: list[Kind]) -> Object:
    served = [kind for kind in kinds if kind.group == group and version in kind.versions]
    if not served:
        raise no_such_path()
    resources = [entry for kind in served for entry in _entries(kind)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _entries(kind: Kind) -> list[Object]:
    entry = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": ["create"] if kind.virtual else _VERBS,
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }
    if not kind.has_status:
        return [entry]
    status = {**entry, "name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"]}
    return [entry, {**status, "shortNames": [], "categories": []}]


def _paths(kinds: list[Kind]) -> list[str]:
    versions = {(kind.group, version) for kind in kinds for version in kind.versions}
    return sorted(f"apis/{g}/{v}" if g else f"api/{v}" for g, v in versions)


def _openapi(group: str, version: str, kinds: list[Kind]) -> Object:
    """As much as kubectl needs to see that the server validates fields itself."""
    paths = {}
    for kind in kinds:
        if kind.group == group and version in kind.versions:
            prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
            place = "/namespaces/{namespace}" if kind.namespaced else ""
            gvk = {"group": group, "version": version, "kind": kind.kind}
            paths[f"{prefix}{place}/{kind.plural}/{{name}}"] = {"patch": _patch_operation(gvk)}
    info = {"title": "Kubernetes", "version": _VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}


def _patch_operation(gvk: dict[str, str]) -> dict[str, Any]:
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    return {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": gvk,
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in names
        ],
        "responses": {},
    }
