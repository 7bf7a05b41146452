"""RequestAuthentication (security.istio.io): which tokens count."""

from dataclasses import dataclass
from typing import ClassVar

from translators.resources.authorizationpolicy import TargetRef
from translators.resources.gateway import LabelSelector
from translators.resources.metadata import KubernetesObject


@dataclass(frozen=True, slots=True)
class JwtRule:
    """One issuer and where its tokens are found.

    ``headers`` are (name, prefix), ``claim_headers`` (header, claim). ``jwks`` is the key set
    itself, ``jwks_uri`` where it is. ``timeout`` is a duration text. ``unreadable`` is what could
    not be read: (field path below the rule, reason); no token may pass by such a rule.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    params: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()
    space_delimited_claims: tuple[str, ...] = ()
    forward_token: bool = False
    timeout: str | None = None
    presence: str = "OPTIONAL"
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RequestAuthentication(KubernetesObject):
    """A RequestAuthentication; ``targets``, ``selector``, ``unreadable`` as in a policy."""

    kind: ClassVar[str] = "RequestAuthentication"
    group: ClassVar[str] = "security.istio.io"

    targets: tuple[TargetRef, ...] = ()
    selector: LabelSelector | None = None
    rules: tuple[JwtRule, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
