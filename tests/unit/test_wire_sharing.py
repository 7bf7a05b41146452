"""Shared parts: the same bytes, and never somebody else's."""

from sys import getrefcount

from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HeaderValue,
    HeaderValueOption,
    SocketAddress,
)

from translators.wire import encode, encoding, kept, shared, unvalidated, validated
from translators.wire.sharing import _LIMIT


@shared
def header(name: str, value: str = "x") -> HeaderValue:
    return HeaderValue(key=name, value=value)


def option(name: str, value: str = "x") -> HeaderValueOption:
    return HeaderValueOption(header=header(name, value=value))


def test_equal_arguments_give_one_part_and_its_bytes_are_those_of_any_other() -> None:
    with encoding():
        assert header("a") is header("a")
        assert header("a") is not header("a", value="y")
        once, again = encode(option("a")), encode(option("a"))
        unshared = encode(HeaderValueOption(header=HeaderValue(key="a", value="x")))
    assert once == again == unshared == bytes(HeaderValueOption.parse(once))


def test_a_shared_part_is_encoded_right_by_itself_too() -> None:
    with encoding():
        assert encode(header("b")) == encode(HeaderValue(key="b", value="x"))


def test_messages_that_can_be_changed_are_not_shared() -> None:
    with unvalidated():
        assert header("c") is not header("c")
    with validated(), encoding():
        assert header("c") is not header("c")


def test_memory_is_bounded() -> None:
    calls = 0

    @shared
    def counted(text: str) -> HeaderValue:
        nonlocal calls
        calls += 1
        return HeaderValue(key=text, value="x")

    with encoding():
        for number in range(2 * _LIMIT + 10):
            assert f"n{number}".encode() in encode(HeaderValueOption(header=counted(f"n{number}")))
        counted("n0")
    assert calls == 2 * _LIMIT + 11


def test_parts_may_hold_shared_parts() -> None:
    @shared
    def socket(port: int) -> SocketAddress:
        return SocketAddress(address="10.0.0.1", port_value=port)

    @shared
    def address(port: int) -> Address:
        return Address(socket_address=socket(port))

    with encoding():
        plain = Address(socket_address=SocketAddress(address="10.0.0.1", port_value=80))
        assert encode(address(80)) == encode(address(80)) == encode(plain)


class Node:
    """Something that tells how often it was looked at."""

    def __init__(self, text: str) -> None:
        self.text, self.looks = text, 0


@kept
def looked_at(node: Node, suffix: str) -> HeaderValue:
    node.looks += 1
    return HeaderValue(key=node.text + suffix, value="x")


def test_a_node_that_is_the_same_object_is_encoded_once_for_each_use() -> None:
    node, equal = Node("a"), Node("a")
    with encoding():
        parts = [looked_at(node, "1"), looked_at(node, "1"), looked_at(node, "2")]
        again = looked_at(equal, "1")
    assert parts[0] is parts[1]
    assert parts[0] == again != parts[2]
    assert (node.looks, equal.looks) == (2, 1)


def test_what_was_made_of_a_node_goes_with_it() -> None:
    node = Node("a")
    with encoding():
        made = looked_at(node, "1")
    known = getrefcount(made)
    del node
    assert getrefcount(made) == known - 1


def test_nodes_that_are_no_more_are_never_taken_for_others() -> None:
    with encoding():
        for number in range(10_000):
            assert f"k{number}!".encode() in encode(looked_at(Node(f"k{number}"), "!"))
