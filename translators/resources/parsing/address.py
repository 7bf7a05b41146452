"""IP addresses in one spelling, so that equal addresses are equal texts."""

from ipaddress import IPv6Address, ip_network

from translators.resources.parsing.fields import Fields

_OCTETS = frozenset(map(str, range(256)))


def canonical_ip(text: str) -> str | None:
    """An IPv4 or IPv6 address in its shortest form, without a zone; None if it is none."""
    if len(parts := text.split(".")) == 4 and _OCTETS.issuperset(parts):
        return text
    if ":" not in text or "%" in text:
        return None
    try:
        return str(IPv6Address(text))
    except ValueError:
        return None


def read_ips(fields: Fields, name: str, limit: int) -> tuple[str, ...]:
    """A list of IP addresses."""
    return require_ips(fields, name, fields.texts(name, limit))


def require_ips(fields: Fields, name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses in canonical form; complains about ``name`` if one is no IP address."""
    found = []
    for text in texts:
        address = canonical_ip(text)
        if address is None:
            fields.complain(
                name, f"{text[:64]!r} is no IP address", "Write an IPv4 or IPv6 address."
            )
        else:
            found.append(address)
    return tuple(found)


def read_ip_ranges(fields: Fields, name: str, limit: int) -> tuple[str, ...]:
    """A list of IP addresses or CIDR ranges, each in canonical form."""
    found = []
    for text in fields.texts(name, limit):
        canonical = canonical_ip(text) or _canonical_range(text)
        if canonical is None:
            fields.complain(name, f"{text[:64]!r} is no IP address", "Write an address or a CIDR.")
        else:
            found.append(canonical)
    return tuple(found)


def _canonical_range(text: str) -> str | None:
    if "/" not in text or "%" in text:
        return None
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return None
