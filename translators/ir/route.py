"""HTTP routing: what a service port does with each request."""

from enum import StrEnum

from translators.ir.authentication import ANYONE, Authentication
from translators.ir.authorization import OPEN, Authorization
from translators.ir.external_authorization import ExternalAuth
from translators.ir.origin import Origin
from translators.ir.value import referable_value, value


class PathKind(StrEnum):
    """How a path is compared (Gateway API HTTPPathMatch)."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"  # by whole segments: /a matches /a and /a/b, never /ab
    REGEX = "RegularExpression"  # RE2, the whole path


@value
class PathMatch:
    """A condition on the path without its query."""

    kind: PathKind
    value: str


@value
class ValueMatch:
    """A condition on a named header or query parameter: the exact value, or an RE2 of all of it.

    Header names are in lower case.
    """

    name: str
    value: str
    regex: bool = False


@value
class RouteMatch:
    """All conditions that a request must fulfil. ``peer_namespaces`` empty: from anywhere.

    ``grpc``: the request is a gRPC call, by its content type. ``steered_to``: its connection was
    steered to that cluster when it was opened; empty: to any.
    """

    path: PathMatch = PathMatch(PathKind.PREFIX, "/")
    method: str = ""
    headers: tuple[ValueMatch, ...] = ()
    query: tuple[ValueMatch, ...] = ()
    peer_namespaces: tuple[str, ...] = ()
    grpc: bool = False
    steered_to: str = ""

    @property
    def by_path_alone(self) -> bool:
        """Whether nothing but the path counts."""
        of_request = self.method or self.headers or self.query or self.grpc
        return not (of_request or self.peer_namespaces or self.steered_to)


@value
class HeaderEdit:
    """Changes to headers: (name, value) pairs that replace or append, names that go."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


NO_EDIT = HeaderEdit()


@value
class FullPath:
    """Replaces the whole path (Gateway API ReplaceFullPath)."""

    value: str


@value
class PrefixPath:
    """Replaces the prefix that the route matched (Gateway API ReplacePrefixMatch)."""

    matched: str
    value: str


PathEdit = FullPath | PrefixPath


@value
class WeightedBackend:
    """One choice of a forwarding action. ``cluster`` is None if the backend is invalid.

    ``early_headers`` of the request are changed before policies look at it.
    """

    cluster: str | None
    weight: int = 1
    request_headers: HeaderEdit = NO_EDIT
    response_headers: HeaderEdit = NO_EDIT
    early_headers: HeaderEdit = NO_EDIT


@value
class Mirror:
    """A copy of numerator/denominator of the requests goes to ``cluster``, its answer to nobody."""

    cluster: str
    numerator: int = 100
    denominator: int = 100


@value
class Retry:
    """When and how often a failed attempt is repeated. ``backoff_ms`` None: Envoy's default.

    ``methods``: only requests with these methods are repeated; empty: all.
    """

    attempts: int
    on: tuple[str, ...]
    codes: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    backoff_ms: int | None = None


@value
class Persistence:
    """Session persistence (GEP-1619): requests of one session keep their endpoint."""

    name: str
    header: bool = False  # else a cookie
    path: str = "/"
    lifetime_ms: int | None = None  # of a permanent cookie; None: a session cookie


@referable_value
class Forward:
    """Send the request on. No or only invalid or zero-weight backends: ``invalid_status``.

    Times are in milliseconds; None means no bound.
    """

    backends: tuple[WeightedBackend, ...]
    timeout_ms: int | None = None
    attempt_timeout_ms: int | None = None
    retry: Retry | None = None
    host_rewrite: str = ""
    path_rewrite: PathEdit | None = None
    mirrors: tuple[Mirror, ...] = ()
    persistence: Persistence | None = None
    invalid_status: int = 500  # of the share of an invalid backend; else 503


@value
class Redirect:
    """Answer with a redirect; an empty part is taken from the request."""

    status: int = 302
    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: PathEdit | None = None


@value
class DirectResponse:
    """Answer at once with this status; a gRPC call gets what that means in gRPC."""

    status: int
    body: str = ""


RouteAction = Forward | Redirect | DirectResponse


@value
class Cors:
    """Cross-origin rules. Origins are ``*``, exact, or hold a ``*`` wildcard (Gateway API)."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: int | None = None


@referable_value
class Route:
    """One match and what becomes of the requests that meet it.

    ``early_headers`` are changed before policies look at a request, ``request_headers`` after it.
    """

    name: str
    match: RouteMatch
    action: RouteAction
    request_headers: HeaderEdit = NO_EDIT
    response_headers: HeaderEdit = NO_EDIT
    cors: Cors | None = None
    external_auth: ExternalAuth | None = None
    early_headers: HeaderEdit = NO_EDIT
    origin: Origin | None = None


@value
class RouteTable:
    """The routes of one HTTP service port, in the order in which they are tried.

    Renders to a RouteConfiguration. A request that no route matches is answered 404, and so is one
    whose host, port included, is none of ``domains``; a wildcard stands for all names below it.
    ``authentication`` and ``authorization`` guard every route and the 404 alike.
    """

    name: str
    host: str
    port: int
    routes: tuple[Route, ...]
    authorization: Authorization = OPEN
    origins: tuple[Origin, ...] = ()
    authentication: Authentication = ANYONE
    domains: tuple[str, ...] = ("*",)
