"""Shared parts: the same message, the same bytes, and never somebody else's."""

from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HeaderValue,
    HeaderValueOption,
    SocketAddress,
)

from translators.wire import encode, shared, unvalidated, validated
from translators.wire.sharing import _LIMIT, shared_parts


@shared
def header(name: str, value: str = "x") -> HeaderValue:
    return HeaderValue(key=name, value=value)


def option(name: str, value: str = "x") -> HeaderValueOption:
    return HeaderValueOption(header=header(name, value=value))


def test_equal_arguments_give_one_message_and_its_bytes_are_those_of_any_other() -> None:
    with unvalidated():
        assert header("a") is header("a")
        assert header("a") is not header("a", value="y")
        once, again = encode(option("a")), encode(option("a"))
        unshared = encode(HeaderValueOption(header=HeaderValue(key="a", value="x")))
    assert once == again == unshared == bytes(HeaderValueOption.parse(once))


def test_a_shared_part_is_encoded_right_by_itself_too() -> None:
    with unvalidated():
        assert encode(header("b")) == encode(HeaderValue(key="b", value="x"))


def test_with_validation_nothing_is_shared() -> None:
    with validated(), unvalidated():
        assert header("c") is not header("c")


def test_memory_is_bounded_and_bytes_never_outlive_their_message() -> None:
    before = len(shared_parts)
    with unvalidated():
        for number in range(2 * _LIMIT + 10):
            assert f"n{number}".encode() in encode(option(f"n{number}"))
    assert len(shared_parts) <= before + _LIMIT


def test_parts_may_hold_shared_parts() -> None:
    @shared
    def socket(port: int) -> SocketAddress:
        return SocketAddress(address="10.0.0.1", port_value=port)

    @shared
    def address(port: int) -> Address:
        return Address(socket_address=socket(port))

    with unvalidated():
        plain = Address(socket_address=SocketAddress(address="10.0.0.1", port_value=80))
        assert encode(address(80)) == encode(address(80)) == encode(plain)


def test_bytes_are_never_those_of_a_message_that_is_no_more() -> None:
    def once(text: str) -> HeaderValue:
        return shared(lambda: HeaderValue(key=text, value="x"))()

    with unvalidated():
        for number in range(200):
            given = f"gone-{number}"
            assert given.encode() in encode(HeaderValueOption(header=once(given)))
            fresh = HeaderValueOption(header=HeaderValue(key="fresh", value="x"))
            assert b"fresh" in encode(fresh)
