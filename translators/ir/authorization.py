"""Authorization: who may do what, as predicates that a proxy and an evaluator both understand."""

from dataclasses import replace
from enum import StrEnum

from translators.ir.external_authorization import AuthzProvider
from translators.ir.origin import Origin
from translators.ir.value import referable_value, value


class TextKind(StrEnum):
    """How a text is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    PRESENT = "present"  # any text but the empty one
    TEMPLATE = "template"  # a path template with {*} and {**}


@value
class TextMatch:
    """A condition on a text."""

    kind: TextKind
    value: str = ""
    ignore_case: bool = False


@value
class Everything:
    """Always true."""


@value
class Nothing:
    """Never true."""


@value
class AllOf:
    """True if every part is; true without parts."""

    parts: "tuple[Predicate, ...]"


@value
class AnyOf:
    """True if some part is; false without parts."""

    parts: "tuple[Predicate, ...]"


@value
class Not:
    """True if the part is not. Meant for facts that are always there: see ``Present``."""

    part: "Predicate"


@value
class PeerIs:
    """The peer's SPIFFE ID, compared by its segments; an absent identity never matches.

    None means any value of that segment. Values are compared as ``TextMatch``.
    """

    trust_domain: TextMatch | None = None
    namespace: TextMatch | None = None
    service_account: TextMatch | None = None


@value
class PrincipalIs:
    """The peer's SPIFFE ID as one text without ``spiffe://`` (Istio ``principals``)."""

    text: TextMatch


@value
class SourceIp:
    """The client's address, as the tunnel's first proxy saw it, lies in ``cidr``."""

    cidr: str


@value
class RemoteIp:
    """The original client's address lies in ``cidr`` (Istio ``remoteIpBlocks``)."""

    cidr: str


@value
class DestinationIp:
    """The address that the client named lies in ``cidr``."""

    cidr: str


@value
class DestinationPort:
    """The port that the client named."""

    port: int


@value
class SniIs:
    """The server name of the client's TLS handshake, without regard to a dot at its end.

    Meant for connections whose handshake has been read.
    """

    text: TextMatch


@value
class HostIs:
    """The host that the request is for, without regard to case or to a dot at its end.

    The port that the request names counts only if the text names one too. A prefix is compared
    with host and port as they stand.
    """

    text: TextMatch


@value
class MethodIs:
    """The request's method."""

    text: TextMatch


@value
class PathIs:
    """The request's path after normalisation, without its query and its segments' parameters."""

    text: TextMatch


@value
class HeaderIs:
    """A request header, by its lower-case name.

    Of a header that comes several times any value will do, so that nobody gets around a DENY rule
    by adding another one; the opposite means that no value is such a text.
    """

    name: str
    text: TextMatch


@value
class ClaimIs:
    """A claim of the request's verified token, by the keys that lead to it."""

    keys: tuple[str, ...]
    text: TextMatch


Predicate = (
    Everything
    | Nothing
    | AllOf
    | AnyOf
    | Not
    | PeerIs
    | PrincipalIs
    | SourceIp
    | RemoteIp
    | DestinationIp
    | DestinationPort
    | SniIs
    | HostIs
    | MethodIs
    | PathIs
    | HeaderIs
    | ClaimIs
)


@referable_value
class AuthzRule:
    """One rule of one policy: applies if the request's source and its operation both match.

    ``key`` is Istio's name of it: ``ns[foo]-policy[bar]-rule[0]``.
    """

    key: str
    sources: Predicate
    operations: Predicate
    origin: Origin


@value
class CustomCheck:
    """Requests that some rule matches need the consent of a provider, found at ``cluster``."""

    provider: AuthzProvider
    cluster: str
    rules: tuple[AuthzRule, ...]


MAX_CUSTOM_CHECKS = 2
"""As many providers may be asked about one request."""


@value
class Authorization:
    """All rules that guard one destination, in Istio's order of actions.

    ``custom`` holds at most ``MAX_CUSTOM_CHECKS``; every one that applies must consent.
    ``allow`` is None if no ALLOW policy exists (all is allowed that nothing denies); an empty
    tuple allows nothing.
    """

    deny: tuple[AuthzRule, ...] = ()
    allow: tuple[AuthzRule, ...] | None = None
    audit: tuple[AuthzRule, ...] = ()
    dry_run_deny: tuple[AuthzRule, ...] = ()
    dry_run_allow: tuple[AuthzRule, ...] | None = None
    custom: tuple[CustomCheck, ...] = ()


OPEN = Authorization()


def denied(rule: AuthzRule) -> AuthzRule:
    """A rule of a CUSTOM policy where nobody can be asked, to deny what it matches."""
    return replace(rule, key=f"{rule.key}-deny-due-to-bad-CUSTOM-action")


def closed(authorization: Authorization) -> Authorization:
    """The same where nobody can be asked: what would need consent is denied."""
    lost = (denied(rule) for check in authorization.custom for rule in check.rules)
    return replace(authorization, custom=(), deny=(*authorization.deny, *lost))
