"""What each field of a policy's source, operation and condition means, value by value.

Every function takes one value and gives the predicate for it, or raises UnusableValue.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

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
from translators.ir.waypoint import Mesh

_DEFAULT_TRUST_DOMAIN = "cluster.local"


class Carrier(StrEnum):
    """What a rule is asked about, and so what can be known."""

    BYTES = "bytes"  # a connection of which nothing has been read
    HANDSHAKES = "handshakes"  # a TLS connection whose server name has been read
    REQUESTS = "requests"  # a request in plain HTTP: it has no server name


@dataclass(frozen=True, slots=True)
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
    text = wildcard(value)
    if text.kind not in (TextKind.EXACT, TextKind.PREFIX):
        return PrincipalIs(text)
    domain, slash, rest = text.value.partition("/")
    known = {*scope.mesh.trust_domains, _DEFAULT_TRUST_DOMAIN}
    if not slash or domain not in known:
        return PrincipalIs(text)
    return any_of(
        PrincipalIs(TextMatch(text.kind, f"{alias}/{rest}")) for alias in scope.mesh.trust_domains
    )


def namespace(_: Scope, value: str) -> Predicate:
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


def trust_domain(_: Scope, value: str) -> Predicate:
    """Read a trust domain."""
    return PeerIs(trust_domain=wildcard(value))


def request_principal(_: Scope, value: str) -> Predicate:
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


def _source_ip(_: Scope, value: str) -> Predicate:
    return SourceIp(cidr(value))


def _remote_ip(_: Scope, value: str) -> Predicate:
    return RemoteIp(cidr(value))


def _destination_ip(_: Scope, value: str) -> Predicate:
    return DestinationIp(cidr(value))


def _host(_: Scope, value: str) -> Predicate:
    text = wildcard(value, ignore_case=True)
    if text.kind is not TextKind.PRESENT and split_host(text.value) == ("", ""):
        raise UnusableValue(f"{value!r} names neither a host nor a port")
    return HostIs(text)


def _method(_: Scope, value: str) -> Predicate:
    return MethodIs(wildcard(value))


def _path(_: Scope, value: str) -> Predicate:
    return PathIs(path(value))


def _server_name(scope: Scope, value: str) -> Predicate:
    name = value.removesuffix(".") or value
    text = wildcard(name, ignore_case=True)
    return SniIs(text) if scope.carrier is Carrier.HANDSHAKES else NOTHING


def _audience(_: Scope, value: str) -> Predicate:
    return claim("aud", value)


def _presenter(_: Scope, value: str) -> Predicate:
    return claim("azp", value)


@dataclass(frozen=True, slots=True)
class Field:
    """The meaning of one field, and what must have been read to know it."""

    meaning: Meaning
    needs: Carrier = Carrier.BYTES

    def is_known(self, carrier: Carrier) -> bool:
        """Whether it can be told there. Plain HTTP is known to have no server name."""
        return self.needs in (Carrier.BYTES, carrier) or carrier is Carrier.REQUESTS


SOURCES: dict[str, Field] = {
    "principals": Field(principal),
    "requestPrincipals": Field(request_principal, Carrier.REQUESTS),
    "namespaces": Field(namespace),
    "serviceAccounts": Field(service_account),
    "trustDomains": Field(trust_domain),
    "ipBlocks": Field(_source_ip),
    "remoteIpBlocks": Field(_remote_ip),
}
OPERATIONS: dict[str, Field] = {
    "hosts": Field(_host, Carrier.REQUESTS),
    "ports": Field(port),
    "methods": Field(_method, Carrier.REQUESTS),
    "paths": Field(_path, Carrier.REQUESTS),
}
CONDITIONS_ON_SOURCE: dict[str, Field] = {
    "source.ip": Field(_source_ip),
    "remote.ip": Field(_remote_ip),
    "source.namespace": Field(namespace),
    "source.principal": Field(principal),
    "source.serviceAccount": Field(service_account),
    "source.trustDomain": Field(trust_domain),
    "request.auth.principal": Field(request_principal, Carrier.REQUESTS),
    "request.auth.audiences": Field(_audience, Carrier.REQUESTS),
    "request.auth.presenter": Field(_presenter, Carrier.REQUESTS),
}
CONDITIONS_ON_OPERATION: dict[str, Field] = {
    "destination.ip": Field(_destination_ip),
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
