"""Ranges of IPv4 addresses, told by how the texts of their addresses begin."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network

LONGEST_PREFIX = 24
"""Of ranges that can be told so; smaller ones are told by their addresses."""

_BITS = 8
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"


def is_range(text: str) -> bool:
    """Whether an address, with or without a port, is a range."""
    return "/" in text


def beginnings(text: str) -> list[str]:
    """What the addresses of a range from /1 to /24 begin with, and no others: ``10.1.``, say.

    There are 128 of them at most.
    """
    network = IPv4Network(text)
    fixed, bits = divmod(network.prefixlen, _BITS)
    octets = network.network_address.packed
    if not bits:
        return [_dotted(octets[:fixed])]
    first = octets[fixed]
    return [_dotted((*octets[:fixed], each)) for each in range(first, first + (1 << _BITS - bits))]


def authority_pattern(text: str, port: int) -> str:
    """A regular expression (RE2) for ``address:port`` with the addresses of a range."""
    found = beginnings(text)
    rest = r"\.".join([_OCTET] * (4 - found[0].count(".")))
    return f"(?:{'|'.join(map(re.escape, found))}){rest}:{port}"


def _dotted(octets: Iterable[int]) -> str:
    return "".join(f"{octet}." for octet in octets)
