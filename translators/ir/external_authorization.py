"""External authorization: who is asked, and what about."""

from dataclasses import dataclass
from enum import StrEnum


class CheckProtocol(StrEnum):
    """What a provider speaks."""

    GRPC = "grpc"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class RequestBody:
    """How much of a request's body the provider is shown.

    ``partial``: the beginning of a larger one, which otherwise is refused with 413. ``raw``: as
    bytes, not as UTF-8 (gRPC only).
    """

    max_bytes: int
    partial: bool = False
    raw: bool = False


@dataclass(frozen=True, slots=True)
class AuthzProvider:
    """A server that decides about requests (Istio's ``envoyExtAuthzGrpc``, ``envoyExtAuthzHttp``).

    It is the port of a service; ``namespace`` may be empty if ``host`` says it. The lists of
    headers are names, exact or with a ``*`` at one end. ``request_headers`` are shown to it, by
    gRPC all of them if there are none; ``kept_headers`` of the request it can't change. The other
    lists speak of HTTP providers alone.
    """

    name: str
    host: str
    port: int
    protocol: CheckProtocol
    namespace: str = ""
    timeout_ms: int = 600_000
    fail_open: bool = False
    status_on_error: int = 403
    clear_route_cache: bool = False
    body: RequestBody | None = None
    path_prefix: str = ""
    request_headers: tuple[str, ...] = ()
    added_headers: tuple[tuple[str, str], ...] = ()
    headers_upstream_on_allow: tuple[str, ...] = ()
    headers_downstream_on_allow: tuple[str, ...] = ()
    headers_downstream_on_deny: tuple[str, ...] = ()
    kept_headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalAuth:
    """Requests of a route need the consent of a provider, found at ``cluster``."""

    provider: AuthzProvider
    cluster: str
