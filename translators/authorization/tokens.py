"""RequestAuthentication: whose tokens count for a service.

A rule that can't be used keeps its issuer and loses its keys: no token is valid by it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from translators.authorization.keys import usable_keys
from translators.gateway_api.called import called_cluster, is_callable
from translators.gateway_api.durations import is_duration, milliseconds
from translators.gateway_api.lookup import find_host, find_service
from translators.gateway_api.served import Served, find_port
from translators.gateway_api.texts import is_editable_header, is_header_value, is_host_name
from translators.gateway_api.upstreams import Upstream
from translators.ir.authentication import (
    Authentication,
    InlineKeys,
    JwtProvider,
    Keys,
    NoKeys,
    RemoteKeys,
)
from translators.ir.cluster import ExternalCluster
from translators.ir.external_authorization import CheckProtocol
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.parsing.address import canonical_ip
from translators.resources.requestauthentication import JwtRule, RequestAuthentication
from translators.world import Reader

_TIMEOUT_MS = 5000
_PARAMETER = re.compile(r"[\x21-\x7e]+")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a service demands of tokens, and the clusters that keys are fetched from."""

    authentication: Authentication
    upstreams: tuple[Upstream, ...] = ()


def tokens_of(reader: Reader, mesh: Mesh, policies: Iterable[RequestAuthentication]) -> Tokens:
    """What these policies together mean: a token is valid if it is by any rule of any of them."""
    made = [
        _provider(reader, mesh, policy, index)
        for policy in policies
        for index in range(len(policy.rules))
    ]
    made.sort(key=lambda pair: pair[0].name)
    upstreams = dict.fromkeys(upstream for _, upstream in made if upstream is not None)
    return Tokens(Authentication(tuple(provider for provider, _ in made)), tuple(upstreams))


def token_problems(policy: RequestAuthentication) -> Iterator[tuple[str, str]]:
    """What is wrong with the rules of a policy: (field path, reason)."""
    for index, rule in enumerate(policy.rules):
        for path, reason in _problems(rule):
            yield f"spec.jwtRules[{index}].{path}".rstrip("."), reason


def _problems(rule: JwtRule) -> Iterator[tuple[str, str]]:
    yield from rule.unreadable
    if rule.jwks and usable_keys(rule.jwks) is None:
        yield "jwks", "is no JSON object with a list of keys, or none of them can be used"
    if not rule.jwks and rule.jwks_uri and _split(rule.jwks_uri) is None:
        yield "jwksUri", f"{rule.jwks_uri!r} is no http or https URI"
    if not rule.jwks and not rule.jwks_uri:
        yield "jwksUri", "is missing, and so is jwks (keys are not looked for at the issuer)"
    if rule.timeout is not None and not is_duration(rule.timeout):
        yield "timeout", f"{rule.timeout!r} is no duration"
    yield from _name_problems(rule)


def _name_problems(rule: JwtRule) -> Iterator[tuple[str, str]]:
    """Names that no proxy would take; it would refuse the rules of everybody with them."""
    claim_headers = [header for header, _ in rule.claim_headers]
    headers = {
        "fromHeaders": [name for name, _ in rule.headers],
        "outputPayloadToHeader": [rule.payload_header] if rule.payload_header else [],
        "outputClaimToHeaders": claim_headers,
    }
    for field, names in headers.items():
        for name in names:
            if not is_editable_header(name):
                yield field, f"{name!r} can't be the name of such a header"
    for _, prefix in rule.headers:
        if not is_header_value(prefix):
            yield "fromHeaders", f"{prefix!r} can't be part of a header"
    for field, plain in (("fromParams", rule.params), ("fromCookies", rule.cookies)):
        for name in plain:
            if not _PARAMETER.fullmatch(name):
                yield field, f"{name!r} can't be a name"


def _provider(
    reader: Reader, mesh: Mesh, policy: RequestAuthentication, index: int
) -> tuple[JwtProvider, Upstream | None]:
    rule, meta = policy.rules[index], policy.meta
    name = f"{meta.namespace}/{meta.name}[{index}]"
    origin = Origin(policy.kind, meta.namespace, meta.name, f"spec.jwtRules[{index}]")
    required = rule.presence not in ("", "OPTIONAL")
    if any(_problems(rule)):
        lost = JwtProvider(name, rule.issuer, NoKeys(), required=required, origin=origin)
        return lost, None
    keys, upstream = _keys(reader, mesh, rule, origin)
    provider = JwtProvider(
        name=name,
        issuer=rule.issuer,
        keys=keys,
        audiences=rule.audiences,
        headers=rule.headers,
        params=rule.params,
        cookies=rule.cookies,
        forward=rule.forward_token,
        payload_header=rule.payload_header,
        claim_headers=rule.claim_headers,
        space_delimited_claims=rule.space_delimited_claims,
        required=required,
        origin=origin,
    )
    return provider, upstream


def _keys(
    reader: Reader, mesh: Mesh, rule: JwtRule, origin: Origin
) -> tuple[Keys, Upstream | None]:
    if rule.jwks:
        jwks = usable_keys(rule.jwks)
        return (NoKeys() if jwks is None else InlineKeys(jwks)), None
    uri = _split(rule.jwks_uri)
    if uri is None:
        return NoKeys(), None
    cluster, destination = _key_server(reader, mesh, uri, origin.namespace)
    timeout = _TIMEOUT_MS if rule.timeout is None else milliseconds(rule.timeout)
    return RemoteKeys(rule.jwks_uri, cluster.name, timeout), (cluster, destination)


def _key_server(reader: Reader, mesh: Mesh, uri: SplitResult, namespace: str) -> Upstream:
    """The cluster of a key server: a service of the mesh, else a host that is found by DNS.

    Of the ServiceEntries only those of the policy's namespace and of the root namespace count:
    nobody else may say where keys come from.
    """
    host, number = uri.hostname or "", uri.port or _PORTS[uri.scheme]
    if uri.scheme == "http":
        service = _key_service(reader, mesh, host, number, namespace)
        port = find_port(service, number)
        if service is not None and port is not None and is_callable(service):
            return called_cluster(reader, mesh, service, host, port, CheckProtocol.HTTP)
    roots = mesh.public_roots if uri.scheme == "https" else ""
    return ExternalCluster(
        f"jwks|{number}|{uri.scheme}|{host}", host, number, roots, mesh.dns_servers
    ), None


def _key_service(reader: Reader, mesh: Mesh, host: str, port: int, namespace: str) -> Served | None:
    homes = (namespace, mesh.root_namespace)
    entries = (find_host(reader, mesh, host, port, namespace, home) for home in homes)
    found = (find_service(reader, mesh, host), *entries)
    return next((one for one in found if one is not None), None)


def _split(uri: str) -> SplitResult | None:
    """The parts of an http or https URI; None if it is none."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        known = parts.scheme in _PORTS and (is_host_name(host) or canonical_ip(host) is not None)
        usable = known and parts.port != 0 and parts.username is None
    except ValueError:
        return None
    return parts if usable and _PARAMETER.fullmatch(uri) else None
