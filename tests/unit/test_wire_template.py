"""Templates: what is laid out once, and what is left to the builder."""

import pytest
from envoy_data_plane.envoy.config.core.v3 import Address, Metadata, SocketAddress
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.config.route.v3 import RouteAction
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.google.protobuf import Struct, Value

from translators.wire import encode, encoding, pack, template, unvalidated

calls: list[str] = []


@template
def socket(address: str, port: int) -> Address:
    calls.append(address)
    return Address(socket_address=SocketAddress(address=f"{address}!", port_value=port))


@template
def packed(name: str, metadata: Metadata | None) -> Filter:
    proxy = TcpProxy(stat_prefix=name, cluster=f"{name}|{name}", metadata_match=metadata)
    return Filter(name="tcp", typed_config=pack(proxy))


@template
def wrapped(host: str) -> RouteAction:
    return RouteAction(host_rewrite_literal=host, cluster="c")


@template
def mapped(key: str, text: str) -> Metadata:
    return Metadata(filter_metadata={key: Struct(fields={key: Value(string_value=text)})})


def test_the_builder_is_called_once_for_each_layout() -> None:
    with encoding():
        socket("first", 80)
        calls.clear()
        assert b"second!" in encode(socket("second", 80))
        assert not calls
        socket("third", 81)
        assert len(calls) == 1


@pytest.mark.parametrize("size", [1, 126, 127, 128, 5000])
def test_lengths_are_counted_anew_in_every_message_around(size: int) -> None:
    text = "x" * size
    with unvalidated():
        metadata = mapped(text, text)
        expected = encode(packed(text, metadata)), encode(wrapped(text)), encode(metadata)
    with encoding():
        part = mapped(text, text)
        assert (encode(packed(text, part)), encode(wrapped(text)), encode(part)) == expected


def test_what_is_left_out_of_a_message_is_left_to_the_builder() -> None:
    with unvalidated():
        expected = encode(packed("", None)), encode(wrapped("")), encode(mapped("", ""))
    with encoding():
        assert (encode(packed("", None)), encode(wrapped("")), encode(mapped("", ""))) == expected


def test_a_message_from_elsewhere_is_left_to_the_builder() -> None:
    with unvalidated():
        metadata = mapped("a", "b")
        expected = encode(packed("n", metadata))
    with encoding():
        assert encode(packed("n", metadata)) == expected


def test_refuses_a_message_of_another_class() -> None:
    with encoding(), pytest.raises(TypeError, match="takes Metadata"):
        packed("n", socket("a", 1))  # type: ignore[arg-type]


def test_outside_it_is_an_ordinary_builder() -> None:
    with unvalidated():
        assert mapped("a", "b").filter_metadata["a"].fields["a"].string_value == "b"
