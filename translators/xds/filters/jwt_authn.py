"""Authentication of requests by their tokens (JWT, RFC 7519).

The issuers are the filter's own configuration, an extension resource, so that proxies keep the
keys that they have fetched however often routes change. A virtual host only names what it demands;
where the resource lacks it, Envoy refuses every request.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never

from envoy_data_plane.envoy.config.core.v3 import DataSource, HttpUri, TypedExtensionConfig
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwtAuthentication,
    JwtClaimToHeader,
    JwtHeader,
    JwtProviderNormalizePayload,
    JwtRequirement,
    JwtRequirementAndList,
    JwtRequirementOrList,
    PerRouteConfig,
    RemoteJwks,
)
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwtProvider as Provider
from envoy_data_plane.google.protobuf import Empty

from translators.ir.authentication import (
    Authentication,
    InlineKeys,
    JwtProvider,
    Keys,
    NoKeys,
    RemoteKeys,
    TokenRules,
)
from translators.wire import pack
from translators.xds.filters.menu import Armed, Filter
from translators.xds.names import UNKNOWN_SERVICE

_KEYS_LIVE = timedelta(minutes=5)
_SOON = timedelta(seconds=1)
_SPACE_DELIMITED = ("scope", "permission")  # as Istio has it


def inert_tokens() -> JwtAuthentication:
    """Demands nothing and knows no issuer."""
    return JwtAuthentication()


def armed_tokens(authentication: Authentication) -> Iterator[Armed]:
    """What a virtual host demands."""
    if authentication.providers:
        yield Armed(Filter.TOKENS, PerRouteConfig(requirement_name=authentication.name))


def token_rules(node: TokenRules) -> TypedExtensionConfig:
    """All that the virtual hosts of a waypoint demand, by name."""
    providers = {one.name: one for demand in node.demands for one in demand.providers}
    config = JwtAuthentication(
        providers={name: _provider(one) for name, one in sorted(providers.items())},
        requirement_map={demand.name: _requirement(demand) for demand in node.demands},
        bypass_cors_preflight=bool(node.demands),
    )
    return TypedExtensionConfig(name=Filter.TOKENS, typed_config=pack(config))


def key_clusters(node: TokenRules) -> tuple[str, ...]:
    """The clusters that keys are fetched from, each once."""
    keys = (provider.keys for demand in node.demands for provider in demand.providers)
    return tuple(dict.fromkeys(each.cluster for each in keys if isinstance(each, RemoteKeys)))


def _requirement(demand: Authentication) -> JwtRequirement:
    """Some provider's token, or no token at all.

    Of several providers no single one may allow that a token is missing: one that looks elsewhere
    would then excuse a bad token of another.
    """
    tokens = [JwtRequirement(provider_name=one.name) for one in demand.providers]
    if any(one.required for one in demand.providers):
        return _any(tokens) if len(tokens) > 1 else tokens[0]
    if len(tokens) == 1:
        return _or_none(tokens[0])
    none_at_all = JwtRequirementAndList(requirements=[_or_none(token) for token in tokens])
    return _any([*tokens, JwtRequirement(requires_all=none_at_all)])


def _or_none(token: JwtRequirement) -> JwtRequirement:
    return _any([token, JwtRequirement(allow_missing=Empty())])


def _any(requirements: list[JwtRequirement]) -> JwtRequirement:
    return JwtRequirement(requires_any=JwtRequirementOrList(requirements=requirements))


def _provider(node: JwtProvider) -> Provider:
    claims = dict.fromkeys((*_SPACE_DELIMITED, *node.space_delimited_claims))
    return Provider(
        issuer=node.issuer,
        audiences=list(node.audiences),
        local_jwks=_inline(node.keys),
        remote_jwks=_remote(node.keys),
        forward=node.forward,
        from_headers=[JwtHeader(name=name, value_prefix=prefix) for name, prefix in node.headers],
        from_params=list(node.params),
        from_cookies=list(node.cookies),
        forward_payload_header=node.payload_header,
        payload_in_metadata="payload",
        normalize_payload_in_metadata=JwtProviderNormalizePayload(
            space_delimited_claims=list(claims)
        ),
        claim_to_headers=[
            JwtClaimToHeader(header_name=header, claim_name=claim)
            for header, claim in node.claim_headers
        ],
    )


def _inline(keys: Keys) -> DataSource | None:
    return DataSource(inline_string=keys.jwks) if isinstance(keys, InlineKeys) else None


def _remote(keys: Keys) -> RemoteJwks | None:
    """Fetched when the first token comes, and again when they are old: unused ones cost nothing."""
    match keys:
        case InlineKeys():
            return None
        case NoKeys():  # Envoy refuses an empty key set, but not one that never comes
            return _fetched("http://nowhere.invalid/", UNKNOWN_SERVICE, _SOON)
        case RemoteKeys():
            timeout = timedelta(milliseconds=keys.timeout_ms)
            return _fetched(keys.uri, keys.cluster, timeout)
        case _:
            assert_never(keys)


def _fetched(uri: str, cluster: str, timeout: timedelta) -> RemoteJwks:
    return RemoteJwks(
        http_uri=HttpUri(uri=uri, cluster=cluster, timeout=timeout), cache_duration=_KEYS_LIVE
    )
