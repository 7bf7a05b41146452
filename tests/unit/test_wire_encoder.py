"""The encoder's corners: every field there is, presence, unknown fields, and what it refuses."""

import datetime
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import envoy_data_plane
import pytest
from betterproto2 import FieldMetadata, Message
from envoy_data_plane.envoy.config.accesslog.v3 import GrpcStatusFilter, GrpcStatusFilterStatus
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HeaderValue,
    Http2ProtocolOptions,
    SocketAddress,
)
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, Endpoint, LbEndpoint
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import (
    RetryPolicy,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
)
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
)
from envoy_data_plane.envoy.type.v3 import FractionalPercent, Int64Range
from envoy_data_plane.google.protobuf import Any as AnyMessage
from envoy_data_plane.google.protobuf import Duration, Struct, Value
from envoy_data_plane.message_pool import default_message_pool

from translators.wire import encode, pack, unvalidated
from translators.wire.schema import member_class, proto_fields

SPECIMENS: dict[str, Any] = {
    "bool": True,
    "enum": 1,
    "int32": -3,
    "int64": -(1 << 40),
    "uint32": 70_000,
    "uint64": 1 << 63,
    "sint32": -3,
    "sint64": -(1 << 40),
    "fixed32": 7,
    "sfixed32": -7,
    "fixed64": 7,
    "sfixed64": -7,
    "float": 0.5,
    "double": -2.5,
    "string": "grüß",
    "bytes": b"\x00\xff",
    "Duration": datetime.timedelta(seconds=61, microseconds=5),
    "Timestamp": datetime.datetime(2031, 4, 5, 6, 7, 8, 9, tzinfo=datetime.UTC),
}


def specimen(message_class: type[Message], name: str, field: FieldMetadata) -> Any:
    """A value of one item of the field, other than its default where there is one."""
    if field.unwrap is not None:
        value = proto_fields(field.unwrap()).get("value")
        return SPECIMENS[value.proto_type if value else field.unwrap().__name__]
    if field.proto_type == "message":
        return member_class(message_class, name)()
    return SPECIMENS[field.proto_type]


def contents(message_class: type[Message], name: str, field: FieldMetadata) -> Any:
    if field.map_meta is not None:
        key, value = field.map_meta
        return {SPECIMENS[key.proto_type]: specimen(message_class, name, value)}
    item = specimen(message_class, name, field)
    return [item, item] if field.repeated else item


def one_field_messages() -> Iterator[Message]:
    for module in pkgutil.walk_packages(envoy_data_plane.__path__, "envoy_data_plane."):
        importlib.import_module(module.name)
    for message_class in list(default_message_pool.type_to_url):
        for name, field in proto_fields(message_class).items():
            with unvalidated():
                message = message_class(**{name: contents(message_class, name, field)})
            yield message


def test_every_field_of_the_api_is_encoded_as_the_library_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The library's encoder without its validator: building that for every class takes minutes.
    monkeypatch.setattr(Message, "_is_pydantic", lambda self: False)
    count = 0
    for message in one_field_messages():
        assert encode(message) == bytes(message) != b"", repr(message)
        count += 1
    assert count > 5000


PRESENT = Address(socket_address=SocketAddress(address="", port_value=0))

MESSAGES = {
    "nothing": Cluster(),
    "empty string in a oneof": RouteMatch(prefix=""),
    "empty message in a oneof": LbEndpoint(endpoint=Endpoint()),
    "zero in a oneof": PRESENT,
    "false in a wrapper": RouteMatch(path="/", case_sensitive=False),
    "zero in a wrapper": RetryPolicy(num_retries=0),
    "zero duration": Cluster(connect_timeout=datetime.timedelta(0)),
    "negative duration": Cluster(connect_timeout=datetime.timedelta(seconds=-1.5)),
    "long varint": Int64Range(start=-1, end=(1 << 63) - 1),
    "first enum member": Cluster(type=ClusterDiscoveryType.STATIC),
    "enum as a number": Cluster(type=3),  # type: ignore[arg-type]
    "enum without a name": Cluster(type=ClusterDiscoveryType(77)),
    "packed enums": GrpcStatusFilter(statuses=[GrpcStatusFilterStatus(n) for n in (0, 16, 300)]),
    "packed integers": RetryPolicy(retriable_status_codes=[0, 1, 127, 128, 70_000]),
    "map in the order of insertion": Struct(
        fields={"z": Value(number_value=0.0), "a": Value(bool_value=False), "": Value()}
    ),
    "negative zero": Value(number_value=-0.0),
    "nested lists": Struct.from_dict({"a": [[], {}, None, "", [1, True, {"b": []}]]}),
    "values of many sizes": HeaderValue(key="k" * 127, value="v" * 16_384),
    "duration as a message": Duration(seconds=3, nanos=5),
    "any": pack(PRESENT),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_equals_the_library(case: str) -> None:
    assert encode(MESSAGES[case]) == bytes(MESSAGES[case])


def test_unknown_fields_survive_at_every_level() -> None:
    strange = b"\xc2\x3e\x03new"  # field 1000, three bytes
    inner = bytes(SocketAddress(address="::1", port_value=80)) + strange
    address = Address.parse(b"\x0a" + bytes([len(inner)]) + inner + strange)
    assert encode(address) == bytes(address)
    assert encode(address).count(strange) == 2


def test_later_changes_are_seen() -> None:
    with unvalidated():
        cluster = Cluster(name="before")
    cluster.name = "after"
    cluster.alt_stat_name = "stat"
    assert encode(cluster) == bytes(Cluster(name="after", alt_stat_name="stat"))


def test_an_instance_of_any_mixture_of_fields_is_encoded_in_order() -> None:
    names = list(proto_fields(SocketAddress))
    values = {"address": "::1", "resolver_name": "r", "ipv4_compat": True, "port_value": 1}
    assert values.keys() <= set(names)
    with unvalidated():
        forth = SocketAddress(**values)  # type: ignore[arg-type]
        back = SocketAddress(**dict(reversed(values.items())))  # type: ignore[arg-type]
    assert encode(forth) == encode(back) == bytes(SocketAddress(**values))  # type: ignore[arg-type]


def wrong(case: str) -> Message:
    with unvalidated():
        match case:
            case "a message of another class":
                return Listener(address=SocketAddress())  # type: ignore[arg-type]
            case "a message where Any is due":
                return Cluster(typed_extension_protocol_options={"x": PRESENT})  # type: ignore[dict-item]
            case "two members of a oneof":
                return RouteMatch(path="/a", prefix="/b")
            case "a number that is too large":
                return FractionalPercent(numerator=1 << 32)
            case "a negative unsigned number":
                return Http2ProtocolOptions(max_concurrent_streams=-1)
            case "a string for a number":
                return FractionalPercent(numerator="1")  # type: ignore[arg-type]
            case "a number for a string":
                return Cluster(name=7)  # type: ignore[arg-type]
            case "a string for bytes":
                return AnyMessage(value="x")  # type: ignore[arg-type]
            case "a lone surrogate":
                return Cluster(name="\ud800")
            case "a number for a duration":
                return RouteAction(timeout=5)  # type: ignore[arg-type]
            case _:
                raise AssertionError(case)


@pytest.mark.parametrize(
    "case",
    [
        "a message of another class",
        "a message where Any is due",
        "two members of a oneof",
        "a number that is too large",
        "a negative unsigned number",
        "a string for a number",
        "a number for a string",
        "a string for bytes",
        "a lone surrogate",
        "a number for a duration",
    ],
)
def test_refuses(case: str) -> None:
    message = wrong(case)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        encode(message)
    with pytest.raises((TypeError, ValueError, AttributeError)):
        bytes(message)


def test_pack_names_the_type_and_holds_the_bytes() -> None:
    packed = pack(HttpConnectionManager(stat_prefix="s"))
    assert packed == AnyMessage.pack(HttpConnectionManager(stat_prefix="s"))
    assert packed.type_url == (
        "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager"
    )
    assert isinstance(packed.unpack(), HttpConnectionManager)


def test_encode_does_not_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Message) -> None:
        raise AssertionError("validated while serving")

    monkeypatch.setattr(Message, "_validate", forbidden)
    monkeypatch.setattr(Message, "__bytes__", forbidden)
    with unvalidated():
        encode(RouteConfiguration(name="r", request_headers_to_remove=["x"]))
        encode(ClusterLoadAssignment(cluster_name="c"))
        pack(MESSAGES["nested lists"])
