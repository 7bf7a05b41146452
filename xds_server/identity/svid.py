"""A short-lived X.509 identity and its private key."""

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
