"""Resources that a control plane would serve, as the static part of one bootstrap."""

from collections.abc import Iterable, Mapping
from typing import Any

from betterproto2 import Message

from translators.wire import TypeUrl
from translators.wire.reading import as_json
from translators.xds.bootstrap import internal_listeners, runtime

Json = dict[str, Any]
"""A message as JSON (proto3)."""

_FETCHED = ("rds", "sdsConfig", "configDiscovery")


def static_bootstrap(resources: Iterable[tuple[str, Message]]) -> Json:
    """The resources as (type URL, message), with what they fetch put where it is fetched from.

    Routes and endpoints that are missing are taken to be empty; of several secrets of one name
    the last counts.
    """
    given: dict[str, list[Json]] = {type_url.value: [] for type_url in TypeUrl}
    for type_url, message in resources:
        given[str(type_url)].append(as_json(message))
    routes, extensions, secrets = (
        {each["name"]: each for each in given[type_url]}
        for type_url in (TypeUrl.ROUTE, TypeUrl.EXTENSION, TypeUrl.SECRET)
    )
    endpoints = {each["clusterName"]: each for each in given[TypeUrl.ENDPOINT]}
    clusters = [_static_cluster(cluster, endpoints) for cluster in given[TypeUrl.CLUSTER]]
    return {
        "bootstrapExtensions": [internal_listeners().to_dict()],
        "layeredRuntime": runtime().to_dict(),
        "staticResources": {
            "listeners": _inlined(given[TypeUrl.LISTENER], routes, extensions),
            "clusters": _inlined(clusters, routes, extensions),
            "secrets": list(secrets.values()),
        },
    }


def _static_cluster(cluster: Json, endpoints: Mapping[str, Json]) -> Json:
    if cluster.get("type") != "EDS":
        return cluster
    name = cluster["name"]
    assignment = endpoints.get(name, {"clusterName": name})
    kept = {key: value for key, value in cluster.items() if key != "edsClusterConfig"}
    return {**kept, "type": "STATIC", "loadAssignment": assignment}


def _inlined(value: Any, routes: Mapping[str, Json], extensions: Mapping[str, Json]) -> Any:
    """The JSON with the things themselves in place of RDS, SDS and ECDS."""
    if isinstance(value, list):
        return [_inlined(item, routes, extensions) for item in value]
    if not isinstance(value, dict):
        return value
    inlined = {
        key: _inlined(item, routes, extensions)
        for key, item in value.items()
        if key not in _FETCHED
    }
    if "rds" in value:
        name = value["rds"]["routeConfigName"]
        inlined["routeConfig"] = _inlined(routes.get(name, {"name": name}), routes, extensions)
    if "configDiscovery" in value:
        default = {"typedConfig": value["configDiscovery"]["defaultConfig"]}
        inlined["typedConfig"] = extensions.get(value["name"], default)["typedConfig"]
    return inlined
