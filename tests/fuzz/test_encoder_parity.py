"""Our encoder against the library's, on random messages of the classes that a waypoint uses.

A recipe says which message to build, field by field; it is built validated, sparse, and encoded
at once. A template must give what its builder does, whatever it is given.
"""

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import EnumMeta, IntEnum
from functools import cache
from typing import Any, cast

import pytest
from betterproto2 import FieldMetadata, Message
from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwtAuthentication
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
)
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret, UpstreamTlsContext
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryResponse, DiscoveryResponse
from envoy_data_plane.google.protobuf import Struct
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from translators import xds
from translators.ir.listener import HttpChain
from translators.wire import encode, encoding, unvalidated
from translators.wire.schema import member_class, proto_fields
from translators.wire.template import kinds, templates

CLASSES: list[type[Message]] = [
    Bootstrap,
    Cluster,
    ClusterLoadAssignment,
    Config,
    DeltaDiscoveryResponse,
    DiscoveryResponse,
    HeaderMutation,
    HttpConnectionManager,
    HttpProtocolOptions,
    JwtAuthentication,
    Listener,
    Rbac,
    RouteConfiguration,
    Secret,
    Struct,
    TcpProxy,
    UpstreamTlsContext,
]
DEPTH = 4
TEMPLATES = [one for one in templates if one.__module__.startswith(xds.__name__)]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A message that is not yet built."""

    message_class: type[Message]
    fields: dict[str, Any]


def build(value: Any) -> Any:
    match value:
        case Recipe(message_class, fields):
            return message_class(**{name: build(each) for name, each in fields.items()})
        case list():
            return [build(each) for each in value]
        case dict():
            return {key: build(each) for key, each in value.items()}
        case _:
            return value


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int32": st.integers(-(1 << 31), (1 << 31) - 1),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "uint32": st.integers(0, (1 << 32) - 1),
    "uint64": st.integers(0, (1 << 64) - 1),
    "sint32": st.integers(-(1 << 31), (1 << 31) - 1),
    "sint64": st.integers(-(1 << 63), (1 << 63) - 1),
    "fixed32": st.integers(0, (1 << 32) - 1),
    "sfixed32": st.integers(-(1 << 31), (1 << 31) - 1),
    "fixed64": st.integers(0, (1 << 64) - 1),
    "sfixed64": st.integers(-(1 << 63), (1 << 63) - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=6) | st.text(min_size=120, max_size=140),
    "bytes": st.binary(max_size=6),
}
UTC_TIMES = st.datetimes(
    datetime.datetime(1960, 1, 1), datetime.datetime(2100, 1, 1), timezones=st.just(datetime.UTC)
)
WELL_KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "Duration": st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=4000)),
    "Timestamp": UTC_TIMES,
}


def values(
    message_class: type[Message], name: str, field: FieldMetadata, depth: int
) -> st.SearchStrategy[Any]:
    """Values of one item of a field."""
    if field.unwrap is not None:
        wrapper = field.unwrap()
        if wrapper.__name__ in WELL_KNOWN:
            return WELL_KNOWN[wrapper.__name__]
        return SCALARS[proto_fields(wrapper)["value"].proto_type]
    if field.proto_type == "message":
        return recipes(member_class(message_class, name), depth - 1)
    if field.proto_type == "enum":
        members: list[IntEnum] = list(cast("EnumMeta", member_class(message_class, name)))
        return st.sampled_from(members) | st.sampled_from([int(member) for member in members])
    return SCALARS[field.proto_type]


def contents(
    message_class: type[Message], name: str, field: FieldMetadata, depth: int
) -> st.SearchStrategy[Any]:
    """Values of a field: items, lists or maps of items, sometimes an explicit None."""
    if field.map_meta is not None:
        key, value = field.map_meta
        items = values(message_class, name, value, depth)
        return st.dictionaries(SCALARS[key.proto_type], items, max_size=3)
    items = values(message_class, name, field, depth)
    if field.repeated:
        return st.lists(items, max_size=3)
    explicit = field.optional or field.group or field.proto_type == "message"
    return st.none() | items if explicit else items


@cache
def recipes(message_class: type[Message], depth: int) -> st.SearchStrategy[Recipe]:
    """Messages with up to eight fields set, at most one of each oneof, nested up to `depth`."""
    fields = proto_fields(message_class)
    if depth == 0 or not fields:
        return st.just(Recipe(message_class, {}))

    def filled(names: list[str]) -> st.SearchStrategy[Recipe]:
        strategies = {name: contents(message_class, name, fields[name], depth) for name in names}
        return st.fixed_dictionaries(strategies).map(lambda given: Recipe(message_class, given))

    names = st.lists(
        st.sampled_from(list(fields)),
        max_size=8,
        unique_by=(lambda name: name, lambda name: fields[name].group or name),
    )
    return names.flatmap(filled)


CONSTRUCTION: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "validated": nullcontext,
    "sparse": unvalidated,
    "encoded": encoding,
}


@pytest.mark.parametrize("message_class", CLASSES, ids=lambda each: each.__name__)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bytes_equal_the_library(message_class: type[Message], data: st.DataObject) -> None:
    recipe = data.draw(recipes(message_class, DEPTH))
    expected = bytes(build(recipe))
    for construction in CONSTRUCTION.values():
        with construction():
            message = build(recipe)
        assert encode(message) == expected
        assert bytes(message) == expected
        if construction is not encoding:
            assert message_class.parse(expected) == message


def arguments(kind: Any) -> st.SearchStrategy[Any]:
    """What may be given to a template: texts, messages, and what its layout depends on."""
    match kind:
        case EnumMeta():
            return st.sampled_from(list(cast("Any", kind)))
        case type() if kind is str:
            return st.text(max_size=20) | st.text(min_size=120, max_size=300)
        case type() if kind is bool:
            return st.booleans()
        case type() if kind is int:
            return st.integers(1, 65535)
        case type() if issubclass(kind, Message):
            return recipes(kind, 2)
        case type() if kind is HttpChain:
            ages = st.none() | st.integers(1, 10**9)
            first = st.booleans()
            return st.builds(
                HttpChain,
                st.just(""),
                st.just(""),
                st.just(0),
                tokens_first=first,
                max_duration_ms=ages,
            )
    raise AssertionError(kind)


@pytest.mark.parametrize("part", TEMPLATES, ids=lambda each: each.__qualname__)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_template_is_what_it_was_made_from(part: Any, data: st.DataObject) -> None:
    recipe = [data.draw(arguments(kind)) for kind in kinds(part)]
    with unvalidated():
        expected = encode(part(*map(build, recipe)))
    with encoding():
        assert encode(part(*map(build, recipe))) == expected
