"""Reads config dumps, Envoy's and ours, which have the same shape."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Where a dump has the resources of a type: the list, and the resource's name inside an entry.
_LISTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "dynamic_listeners": lambda entry: entry["name"],
    "dynamic_active_clusters": lambda entry: entry["cluster"]["name"],
    "dynamic_route_configs": lambda entry: entry["route_config"]["name"],
    "dynamic_endpoint_configs": lambda entry: entry["endpoint_config"]["cluster_name"],
    "dynamic_active_secrets": lambda entry: entry["name"],
}


def entries(dump: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """List, name and entry of every resource of a dump that came by xDS."""
    for section in dump["configs"]:
        for kind, name_of in _LISTS.items():
            for entry in section.get(kind, ()):
                # A listener that Envoy refused is one more entry, of nothing but the error.
                if entry.keys() != {"error_state"}:
                    yield kind, name_of(entry), entry


def by_name(dump: Any) -> dict[str, dict[str, str | None]]:
    """The versions of all resources of a dump, by list and name."""
    versions: dict[str, dict[str, str | None]] = {}
    for kind, name, entry in entries(dump):
        held = entry.get("active_state", entry)
        versions.setdefault(kind, {})[name] = held.get("version_info")
    return versions


def chains_of(listener: Mapping[str, Any]) -> set[str]:
    """The names of a listener's filter chains, in either spelling of JSON."""
    chains = listener.get("filter_chains", listener.get("filterChains", ()))
    return {chain["name"] for chain in chains}


def listeners(dump: Any) -> dict[str, set[str]]:
    """The filter chains of each listener by its name."""
    return {
        name: chains_of(entry["active_state"]["listener"])
        for kind, name, entry in entries(dump)
        if kind == "dynamic_listeners"
    }
