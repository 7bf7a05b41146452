"""The HTTP filters that every connection manager has, whatever its routes make of them.

Each does nothing until a route or a virtual host arms it, so that a change of policy is a change
of routes: it drains no connection and counts at once on those that are open. Envoy ignores a
setting for a filter that is not there; here such a setting can't be written, because only
members of ``Filter`` can be armed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from betterproto2 import Message
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.google.protobuf import Any

from translators.wire import pack


class Filter(StrEnum):
    """The filters, in the order in which a request meets them (Istio's order)."""

    CLIENT_IDENTITY = "waypost.xfcc"
    AUDIT = "envoy.filters.http.rbac.audit"
    DENY = "envoy.filters.http.rbac.deny"
    ALLOW = "envoy.filters.http.rbac.allow"
    FAULT = "envoy.filters.http.fault"
    CORS = "envoy.filters.http.cors"
    STATEFUL_SESSION = "envoy.filters.http.stateful_session"
    ROUTER = "envoy.filters.http.router"


@dataclass(frozen=True, slots=True)
class Armed:
    """What a route or a virtual host has a filter do."""

    filter: Filter
    config: Message


def http_filter(name: str, config: Message) -> HttpFilter:
    """A filter of a connection manager."""
    return HttpFilter(name=name, typed_config=pack(config))


def per_filter_config(armed: Iterable[Armed]) -> dict[str, Any]:
    """The armed filters as ``typed_per_filter_config``, in the order of the menu."""
    configs = {each.filter: each.config for each in armed}
    return {filter_.value: pack(configs[filter_]) for filter_ in Filter if filter_ in configs}
