"""Routes whose requests need somebody's consent (Gateway API ExternalAuth filter, GEP-1494)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from translators.gateway_api.called import called_cluster, is_callable
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.issues import Issue, Subject
from translators.gateway_api.references import Referrer, resolve_ref
from translators.gateway_api.scope import Scope
from translators.ir.cluster import ServiceCluster
from translators.ir.external_authorization import (
    AuthzProvider,
    CheckProtocol,
    ExternalAuth,
    RequestBody,
)
from translators.ir.waypoint import Mesh
from translators.resources.httproute import HttpExternalAuth, HttpRule
from translators.world import Reader

_TIMEOUT_MS = 10_000  # the API has no field for it

# Of the request: who calls, where it goes and how it is framed, and what speaks of the answer only.
_KEPT = (
    *("host", "x-forwarded-client-cert", "x-waypost-*", "x-envoy-*", "connection", "upgrade", "te"),
    *("keep-alive", "proxy-*", "trailer", "transfer-encoding", "content-*", "date", "server"),
)


class Authorizer(NamedTuple):
    """Who is asked, and the cluster that this needs."""

    asked: ExternalAuth
    upstream: tuple[ServiceCluster, Destination | None]


def authorizer_of(scope: Scope, referrer: Referrer, rule: HttpRule) -> Authorizer | Issue | None:
    """Who must consent to the requests of a rule, or why nobody can be asked; None: nobody must."""
    wanted = next((one.external_auth for one in rule.filters if one.external_auth), None)
    if wanted is None:
        return None
    return _authorizer(scope.reader, scope.mesh, referrer, wanted)


def authorizer_issues(
    reader: Reader, mesh: Mesh, referrer: Referrer, rule: HttpRule
) -> Iterator[Issue]:
    """Why nobody can be asked; field paths are below the rule."""
    for index, one in enumerate(rule.filters):
        if one.external_auth is not None:
            found = _authorizer(reader, mesh, referrer, one.external_auth)
            if isinstance(found, Issue):
                yield found.below(f"filters[{index}].externalAuth.backendRef")


def _authorizer(
    reader: Reader, mesh: Mesh, referrer: Referrer, wanted: HttpExternalAuth
) -> Authorizer | Issue:
    """Who is asked. On behalf of a consumer route nobody changes what others have verified."""
    target = resolve_ref(reader, mesh, referrer, wanted.backend)
    if isinstance(target, Issue):
        return target
    if not is_callable(target.service):
        message = f"nobody knows where calls of {target.host} would have to go"
        return Issue("name", Subject.REFERENCE, "InvalidDestination", message)
    protocol = CheckProtocol.GRPC if wanted.protocol == "GRPC" else CheckProtocol.HTTP
    upstream = called_cluster(reader, mesh, target.service, target.host, target.port, protocol)
    provider = _provider(wanted, target.host, target.port.port, protocol)
    if referrer.consumes is not None:
        provider = replace(provider, headers_upstream_on_allow=(), kept_headers=("*",))
    return Authorizer(ExternalAuth(provider, upstream[0].name), upstream)


def _provider(
    wanted: HttpExternalAuth, host: str, port: int, protocol: CheckProtocol
) -> AuthzProvider:
    body = RequestBody(wanted.max_body) if wanted.max_body else None
    return AuthzProvider(
        name=f"{host}:{port}",
        host=host,
        port=port,
        protocol=protocol,
        timeout_ms=_TIMEOUT_MS,
        body=body,
        path_prefix=wanted.path,
        request_headers=wanted.allowed_headers,
        headers_upstream_on_allow=wanted.allowed_response_headers or ("*",),
        kept_headers=_KEPT,
    )
