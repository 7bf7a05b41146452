"""HTTPRoute (gateway.networking.k8s.io/v1), as written: meaning is given to it elsewhere.

Every part keeps its place in the manifest by its index, so that conditions can name the field.
Texts are not checked here beyond type and length; enumerations stay texts, because an unknown
value must lead to a condition on the rule that has it and to nothing else.
"""

from dataclasses import dataclass
from typing import ClassVar

from translators.resources.gateway import GATEWAY_GROUP
from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class ParentRef:
    """What a route is attached to. ``namespace`` is filled in with the route's own."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None = None
    section: str = ""


@dataclass(frozen=True, slots=True)
class HttpPathMatch:
    """``type`` is Exact, PathPrefix or RegularExpression."""

    type: str = "PathPrefix"
    value: str = "/"


@dataclass(frozen=True, slots=True)
class HttpValueMatch:
    """A header or query match; ``type`` is Exact or RegularExpression."""

    name: str
    value: str
    type: str = "Exact"


@dataclass(frozen=True, slots=True)
class HttpMatch:
    """All of its parts must match."""

    path: HttpPathMatch = HttpPathMatch()
    method: str = ""
    headers: tuple[HttpValueMatch, ...] = ()
    query: tuple[HttpValueMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderModifier:
    """RequestHeaderModifier or ResponseHeaderModifier."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathModifier:
    """``type`` is ReplaceFullPath or ReplacePrefixMatch."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class RequestRedirect:
    """RequestRedirect; None means: as in the request."""

    scheme: str | None = None
    hostname: str | None = None
    path: PathModifier | None = None
    port: int | None = None
    status_code: int = 302


@dataclass(frozen=True, slots=True)
class UrlRewrite:
    """URLRewrite."""

    hostname: str | None = None
    path: PathModifier | None = None


@dataclass(frozen=True, slots=True)
class BackendRef:
    """A backend. ``namespace`` is filled in with the route's own; ``port`` may be missing."""

    group: str
    kind: str
    namespace: str
    name: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class RequestMirror:
    """RequestMirror: ``percent`` or ``fraction`` (numerator, denominator), else everything."""

    backend: BackendRef
    percent: int | None = None
    fraction: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class HttpCors:
    """CORS."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 5


@dataclass(frozen=True, slots=True)
class HttpExternalAuth:
    """ExternalAuth (experimental): ``protocol`` is HTTP or GRPC.

    ``max_body`` is how many bytes of the body are sent along, None for no body.
    """

    protocol: str
    backend: BackendRef
    path: str = ""
    allowed_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()
    max_body: int | None = None


@dataclass(frozen=True, slots=True)
class HttpFilter:
    """A filter: ``type`` as written, and the one part that belongs to it (None if missing)."""

    type: str
    header_modifier: HeaderModifier | None = None
    redirect: RequestRedirect | None = None
    rewrite: UrlRewrite | None = None
    mirror: RequestMirror | None = None
    cors: HttpCors | None = None
    external_auth: HttpExternalAuth | None = None


@dataclass(frozen=True, slots=True)
class HttpBackend:
    """A backendRef of a rule, with its weight and filters."""

    ref: BackendRef
    weight: int = 1
    filters: tuple[HttpFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRetry:
    """``retry`` of a rule (GEP-1731); ``backoff`` is a Gateway API duration text."""

    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff: str | None = None


@dataclass(frozen=True, slots=True)
class HttpSessionPersistence:
    """``sessionPersistence`` of a rule (GEP-1619)."""

    session_name: str = ""
    type: str = "Cookie"
    absolute_timeout: str | None = None
    idle_timeout: str | None = None
    cookie_lifetime: str = "Session"
    cookie_path: str = "/"


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One rule. ``timeout_request``, ``timeout_backend`` are Gateway API duration texts.

    ``unreadable`` is what could not be read of it: (field path below the rule, reason); such a
    rule keeps its matches, where they could be read, and must be answered 500.
    """

    matches: tuple[HttpMatch, ...] = (HttpMatch(),)
    name: str = ""
    filters: tuple[HttpFilter, ...] = ()
    backends: tuple[HttpBackend, ...] = ()
    timeout_request: str | None = None
    timeout_backend: str | None = None
    retry: HttpRetry | None = None
    session_persistence: HttpSessionPersistence | None = None
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HTTPRoute(KubernetesObject):
    """An HTTPRoute."""

    kind: ClassVar[str] = "HTTPRoute"
    group: ClassVar[str] = GATEWAY_GROUP

    parents: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[HttpRule, ...] = ()
