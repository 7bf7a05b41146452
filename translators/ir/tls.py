"""Connections that are routed by the server name of their TLS handshake, which is not terminated.

A connection to such a port goes to a listener that reads the server name, and from there, as a
CONNECT that names both, to a second one whose route table decides. Neither listener depends on
any service or route: all that changes is the table.
"""

from dataclasses import dataclass

from translators.ir.authorization import OPEN, Authorization
from translators.ir.listener import ConnectionRule
from translators.ir.origin import Origin


@dataclass(frozen=True, slots=True)
class TlsInspector:
    """The internal listener that reads the server name of a connection.

    ``max_duration_ms``: connections are closed at that age.
    """

    max_duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TlsDispatcher:
    """The internal listener that looks the destination up in the ``TlsTable``."""


@dataclass(frozen=True, slots=True)
class TlsHost:
    """What becomes of connections to ``authorities`` with one server name.

    ``server_name`` is exact, ``*.`` and a domain for all names below it, or ``*`` for any and
    none. ``authorization`` is decided before the rules. A peer that no rule is for is refused.
    """

    server_name: str
    authorities: tuple[str, ...]
    rules: tuple[ConnectionRule, ...]
    authorization: Authorization = OPEN


@dataclass(frozen=True, slots=True)
class TlsTable:
    """The route table of the ``TlsDispatcher``; what it does not name is refused."""

    hosts: tuple[TlsHost, ...]
    origins: tuple[Origin, ...] = ()
