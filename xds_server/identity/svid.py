"""Short-lived certificates and their private keys."""

from dataclasses import dataclass, field
from datetime import datetime

from xds_server.identity.spiffe import SpiffeId


@dataclass(frozen=True, slots=True)
class Svid:
    """An X.509-SVID: who it names, its PEM chain (leaf first, no root) and its PEM private key.

    The key stays out of ``repr`` so that no log line or traceback can carry it. Times are UTC.
    """

    identity: SpiffeId
    chain: bytes
    key: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    serial: int


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate for hosts, with the same fields; it is nobody's identity in the mesh."""

    hosts: tuple[str, ...]
    chain: bytes
    key: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    serial: int
