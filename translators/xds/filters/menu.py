"""The HTTP filters that every connection manager has, whatever its routes make of them.

Each does nothing until a route or a virtual host arms it, so that a change of policy is a change
of routes: it drains no connection and counts at once on those that are open. Envoy ignores a
setting for a filter that is not there; here such a setting can't be written, because only
members of ``Filter`` can be armed.

A filter that does nothing still costs each request about 1 % of what forwarding it takes, so
requests of a service pass by those that neither their route nor its virtual host names.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import ExtensionConfigSource
from envoy_data_plane.envoy.config.route.v3 import FilterConfig
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.google.protobuf import Any

from translators.wire import pack
from translators.wire.packing import type_url_of
from translators.xds.config_source import ads


class Filter(StrEnum):
    """The filters, in the order in which a request meets them (Istio's order).

    A connection manager may have those of CUSTOM behind that of TOKENS, if it is told to. The
    layered and the opaque ones are for tunnels alone.
    """

    EARLY_HEADERS = "waypost.early_headers"
    CLIENT_IDENTITY = "waypost.xfcc"
    CUSTOM_1 = "waypost.ext_authz.1"
    CUSTOM_2 = "waypost.ext_authz.2"
    TOKENS = "envoy.filters.http.jwt_authn"
    LAYERED_DENY = "envoy.filters.http.rbac.layered_deny"
    LAYERED_ALLOW = "envoy.filters.http.rbac.layered_allow"
    AUDIT = "envoy.filters.http.rbac.audit"
    DENY = "envoy.filters.http.rbac.deny"
    ALLOW = "envoy.filters.http.rbac.allow"
    OPAQUE_DENY = "envoy.filters.http.rbac.opaque_deny"
    OPAQUE_ALLOW = "envoy.filters.http.rbac.opaque_allow"
    FAULT = "envoy.filters.http.fault"
    CORS = "envoy.filters.http.cors"
    EXTERNAL_AUTH = "waypost.ext_authz.route"
    STATEFUL_SESSION = "envoy.filters.http.stateful_session"
    ROUTER = "envoy.filters.http.router"


# No setting of its own, which is not the same as no entry.
_MET = pack(FilterConfig(config=Any()))


@dataclass(frozen=True, slots=True)
class Armed:
    """What a route or a virtual host has a filter do."""

    filter: Filter
    config: Message


def http_filter(name: str, config: Message, *, skipped: bool = False) -> HttpFilter:
    """A filter of a connection manager; if it is skipped, only for what arms it."""
    return HttpFilter(name=name, typed_config=pack(config), disabled=skipped)


def discovered_filter(name: str, until_then: Message, *, skipped: bool = False) -> HttpFilter:
    """A filter whose configuration is an extension resource of the same name.

    No listener waits for it: until it comes, the filter does what ``until_then`` says.
    """
    return HttpFilter(
        name=name,
        disabled=skipped,
        config_discovery=ExtensionConfigSource(
            config_source=ads(),
            default_config=pack(until_then),
            apply_default_config_without_warming=True,
            type_urls=[type_url_of(until_then)],
        ),
    )


def per_filter_config(armed: Iterable[Armed]) -> dict[str, Any]:
    """The armed filters as ``typed_per_filter_config``, in the order of the menu."""
    in_order = sorted(armed, key=_place)
    return {each.filter.value: pack(each.config) for each in in_order}


_PLACES = {filter_.value: place for place, filter_ in enumerate(Filter)}


def _place(armed: Armed) -> int:
    return _PLACES[armed.filter.value]


def met(filters: Collection[Filter]) -> dict[str, Any]:
    """Has all requests of a virtual host meet these filters, though only some routes arm them.

    Which filters a request meets is settled when it comes, by the route that it has then; a filter
    may change it so that it gets another.
    """
    return {filter_.value: _MET for filter_ in Filter if filter_ in filters}
