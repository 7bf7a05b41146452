"""Key material that a proxy is given."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Certificate:
    """An SVID: the PEM chain, leaf first, and its private key, which no repr shows."""

    name: str
    chain: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The PEM roots that peers are verified against."""

    name: str
    roots: bytes
