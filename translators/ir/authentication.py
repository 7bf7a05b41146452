"""Authentication of requests: whose tokens count, and where their keys come from."""

from dataclasses import dataclass

from translators.ir.origin import Origin


@dataclass(frozen=True, slots=True)
class InlineKeys:
    """A key set (JWKS, RFC 7517) with at least one key that a proxy can use."""

    jwks: str


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """A key set that proxies fetch themselves from ``cluster``. No answer: no token is valid."""

    uri: str
    cluster: str
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class NoKeys:
    """No keys at all: no token is ever valid."""


Keys = InlineKeys | RemoteKeys | NoKeys


@dataclass(frozen=True, slots=True)
class JwtProvider:
    """One issuer of tokens.

    ``name`` is unique in a waypoint. Without ``headers`` (name, prefix), ``params`` and ``cookies``
    tokens are looked for in ``Authorization: Bearer`` and the parameter ``access_token``.
    ``claim_headers`` are (header, claim). ``required``: a request without a token is refused.
    """

    name: str
    issuer: str
    keys: Keys
    audiences: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    params: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    forward: bool = False
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()
    space_delimited_claims: tuple[str, ...] = ()
    required: bool = False
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Authentication:
    """What a service demands of tokens: that one, if there is any, is valid for some provider.

    If a provider says that a token is required, there must be one.
    """

    providers: tuple[JwtProvider, ...] = ()

    @property
    def name(self) -> str:
        """The same name for the same providers, whatever these say; empty without any."""
        return ",".join(provider.name for provider in self.providers)


ANYONE = Authentication()


@dataclass(frozen=True, slots=True)
class TokenRules:
    """All that the services of a waypoint demand of tokens, each once. Renders to an extension."""

    demands: tuple[Authentication, ...] = ()
