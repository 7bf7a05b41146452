"""What each field of a policy's source, operation and condition means, value by value.

Every function takes one value and gives the predicate for it, or raises UnusableValue. Those that
depend on nothing else are remembered: policies say the same again and again.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from translators.authorization.text import UnusableValue, path, wildcard
from translators.ir.authorization import (
    ClaimIs,
    DestinationIp,
    DestinationPort,
    HeaderIs,
    HostIs,
    MethodIs,
    PathIs,
    PeerIs,
    Predicate,
    PrincipalIs,
    RemoteIp,
    SniIs,
    SourceIp,
    TextKind,
    TextMatch,
)
from translators.ir.host import split_host
from translators.ir.predicate import EVERYTHING, NOTHING, all_of, any_of
from translators.ir.value import value
from translators.ir.waypoint import Mesh

_DEFAULT_TRUST_DOMAIN = "cluster.local"
_REMEMBERED = 1024  # values of each field


class Carrier(StrEnum):
    """What a rule is asked about, and so what can be known."""

    BYTES = "bytes"  # a connection of which nothing has been read
    HANDSHAKES = "handshakes"  # a TLS connection whose server name has been read
    REQUESTS = "requests"  # a request in plain HTTP: it has no server name


@value
class Scope:
    """What a value may depend on besides itself: the mesh, the policy's home, the port.

    ``port`` is None where connections to any port are guarded at once.
    """

    mesh: Mesh
    namespace: str
    port: int | None
    carrier: Carrier = Carrier.REQUESTS


Meaning = Callable[[Scope, str], Predicate]


def principal(scope: Scope, value: str) -> Predicate:
    """Read ``trust-domain/ns/x/sa/y`` with a wildcard; holds for the trust domain's aliases too."""
    return _principal(scope.mesh.trust_domains, value)


@lru_cache(_REMEMBERED)
def _principal(own: tuple[str, ...], value: str) -> Predicate:
    text = wildcard(value)
    domain, slash, rest = text.value.partition("/")
    is_own = slash and (domain in own or domain == _DEFAULT_TRUST_DOMAIN)
    if not is_own or text.kind not in (TextKind.EXACT, TextKind.PREFIX):
        return PrincipalIs(text)
    return any_of([PrincipalIs(TextMatch(text.kind, f"{alias}/{rest}")) for alias in own])


def namespace(value: str) -> Predicate:
    """Read a namespace, of any trust domain."""
    return PeerIs(namespace=wildcard(value))


def service_account(scope: Scope, value: str) -> Predicate:
    """Read ``namespace/name``, or a name in the policy's own namespace. No wildcards."""
    home, slash, name = value.rpartition("/")
    if "*" in value or "/" in home or not name or (slash and not home):
        raise UnusableValue(f"{value!r} is not namespace/name or name (no wildcards)")
    return PeerIs(
        namespace=TextMatch(TextKind.EXACT, home or scope.namespace),
        service_account=TextMatch(TextKind.EXACT, name),
    )


def trust_domain(value: str) -> Predicate:
    """Read a trust domain."""
    return PeerIs(trust_domain=wildcard(value))


def request_principal(value: str) -> Predicate:
    """Read ``issuer/subject``, split at the last slash, of the verified token."""
    if value == "*":
        return all_of((claim("iss", "*"), claim("sub", "*")))
    issuer, slash, subject = value.rpartition("/")
    if slash:
        return all_of((claim("iss", issuer or "*"), claim("sub", subject or "*")))
    if value.endswith("*"):
        return all_of((claim("iss", value), claim("sub", "*")))
    if value.startswith("*"):
        return all_of((claim("iss", "*"), claim("sub", value)))
    raise UnusableValue(f"{value!r} is not issuer/subject")


def claim(key: str, value: str) -> Predicate:
    """Read the wanted value of a top-level claim."""
    return ClaimIs((key,), wildcard(value))


def cidr(value: str) -> str:
    """Read an address or a CIDR block; the result is its canonical CIDR form."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise UnusableValue(f"{value!r} is not an IP address or CIDR block") from None


def port(scope: Scope, value: str) -> Predicate:
    """Read a port number. If the guarded port is known, as a service's is, it is decided here."""
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
        raise UnusableValue(f"{value!r} is not a port (1-65535)")
    if scope.port is None:
        return DestinationPort(int(value))
    return EVERYTHING if int(value) == scope.port else NOTHING


def host(value: str) -> Predicate:
    """Read a host, with a port or without."""
    text = wildcard(value, ignore_case=True)
    if text.kind is not TextKind.PRESENT and split_host(text.value) == ("", ""):
        raise UnusableValue(f"{value!r} names neither a host nor a port")
    return HostIs(text)


def _server_name(scope: Scope, value: str) -> Predicate:
    name = value.removesuffix(".") or value
    text = wildcard(name, ignore_case=True)
    return SniIs(text) if scope.carrier is Carrier.HANDSHAKES else NOTHING


@dataclass(frozen=True, slots=True)
class Field:
    """The meaning of one field, and what must have been read to know it."""

    meaning: Meaning
    needs: Carrier = Carrier.BYTES

    def is_known(self, carrier: Carrier) -> bool:
        """Whether it can be told there. Plain HTTP is known to have no server name."""
        return carrier is Carrier.REQUESTS or self.needs in (Carrier.BYTES, carrier)


def _of_value(read: Callable[[str], Predicate], needs: Carrier = Carrier.BYTES) -> Field:
    """A field whose meaning depends on nothing but the value."""
    remembered = lru_cache(_REMEMBERED)(read)
    return Field(lambda _, value: remembered(value), needs)


_SOURCE_IP = _of_value(lambda value: SourceIp(cidr(value)))
_REMOTE_IP = _of_value(lambda value: RemoteIp(cidr(value)))
_NAMESPACE = _of_value(namespace)
_TRUST_DOMAIN = _of_value(trust_domain)
_REQUEST_PRINCIPAL = _of_value(request_principal, Carrier.REQUESTS)

SOURCES: dict[str, Field] = {
    "principals": Field(principal),
    "requestPrincipals": _REQUEST_PRINCIPAL,
    "namespaces": _NAMESPACE,
    "serviceAccounts": Field(service_account),
    "trustDomains": _TRUST_DOMAIN,
    "ipBlocks": _SOURCE_IP,
    "remoteIpBlocks": _REMOTE_IP,
}
OPERATIONS: dict[str, Field] = {
    "hosts": _of_value(host, Carrier.REQUESTS),
    "ports": Field(port),
    "methods": _of_value(lambda value: MethodIs(wildcard(value)), Carrier.REQUESTS),
    "paths": _of_value(lambda value: PathIs(path(value)), Carrier.REQUESTS),
}
CONDITIONS_ON_SOURCE: dict[str, Field] = {
    "source.ip": _SOURCE_IP,
    "remote.ip": _REMOTE_IP,
    "source.namespace": _NAMESPACE,
    "source.principal": Field(principal),
    "source.serviceAccount": Field(service_account),
    "source.trustDomain": _TRUST_DOMAIN,
    "request.auth.principal": _REQUEST_PRINCIPAL,
    "request.auth.audiences": _of_value(lambda value: claim("aud", value), Carrier.REQUESTS),
    "request.auth.presenter": _of_value(lambda value: claim("azp", value), Carrier.REQUESTS),
}
CONDITIONS_ON_OPERATION: dict[str, Field] = {
    "destination.ip": _of_value(lambda value: DestinationIp(cidr(value))),
    "destination.port": Field(port),
    "connection.sni": Field(_server_name, Carrier.HANDSHAKES),
}


def header_field(key: str) -> Field | None:
    """The field that ``request.headers[name]`` means, None if ``key`` is not of that form."""
    name = key.removeprefix("request.headers[").removesuffix("]")
    if f"request.headers[{name}]" != key or not name or "[" in name or "]" in name:
        return None
    if name.lower() in ("host", ":authority"):
        return OPERATIONS["hosts"]
    return Field(lambda _, value: HeaderIs(name.lower(), wildcard(value)), Carrier.REQUESTS)


def claim_field(key: str) -> Field | None:
    """The field that ``request.auth.claims[a][b]`` means, None if ``key`` is not of that form."""
    path_text = key.removeprefix("request.auth.claims")
    if path_text == key or not (path_text.startswith("[") and path_text.endswith("]")):
        return None
    keys = tuple(path_text[1:-1].split("]["))
    if not all(keys) or any("[" in part or "]" in part for part in keys):
        return None
    return Field(lambda _, value: ClaimIs(keys, wildcard(value)), Carrier.REQUESTS)
