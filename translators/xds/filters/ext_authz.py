"""External authorization of requests, all of it in the virtual host or the route that arms it.

What a check is, is no setting that a route could change, so the filter of the menu is a composite,
and the virtual host says what it is composed of: RBAC rules that nothing is refused by, whose
verdict decides whether the filter behind them asks. Envoy goes no further in such a chain than to
the first filter that waits for something, hence one filter of the menu for each check.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never

from betterproto2 import Message
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import (
    GrpcService,
    GrpcServiceEnvoyGrpc,
    HeaderValue,
    HttpUri,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.config.rbac.v3 import RbacAction
from envoy_data_plane.envoy.extensions.filters.http.composite.v3 import (
    Composite,
    CompositePerRoute,
    ExecuteFilterAction,
    FilterChainConfiguration,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_authz.v3 import (
    AuthorizationRequest,
    AuthorizationResponse,
    BufferSettings,
    ExtAuthz,
    HttpService,
)
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac
from envoy_data_plane.envoy.type.matcher.v3 import (
    ListStringMatcher,
    MetadataMatcher,
    MetadataMatcherPathSegment,
    RegexMatcher,
    StringMatcher,
    ValueMatcher,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as Action
from envoy_data_plane.xds.type.matcher.v3 import Matcher, MatcherOnMatch

from translators.ir.authorization import MAX_CUSTOM_CHECKS, Authorization, CustomCheck
from translators.ir.external_authorization import (
    AuthzProvider,
    CheckProtocol,
    ExternalAuth,
    RequestBody,
)
from translators.wire import pack
from translators.xds.filters.menu import Armed, Filter
from translators.xds.names import PEER_PRINCIPAL, stat_name
from translators.xds.policy import rules
from translators.xds.text import escaped, exact, regex

CUSTOM_FILTERS = (Filter.CUSTOM_1, Filter.CUSTOM_2)
"""The filters of the menu that check, in their order."""

PRINCIPAL_HEADER = "x-waypost-client-principal"
"""Tells a provider the client's SPIFFE ID, in gRPC as metadata of the call."""

_VERDICTS = "envoy.filters.http.rbac"
_TOKENS = "envoy.filters.http.jwt_authn"
_XFCC = "x-forwarded-client-cert"


def inert_check() -> Composite:
    """Asks nobody."""
    return Composite()


def armed_checks(authorization: Authorization) -> Iterator[Armed]:
    """Who has to consent to the requests of a virtual host.

    Raises ValueError if there are more than ``MAX_CUSTOM_CHECKS``.
    """
    if len(authorization.custom) > MAX_CUSTOM_CHECKS:
        raise ValueError(f"{len(authorization.custom)} providers are to be asked of one request")
    for filter_, check in zip(CUSTOM_FILTERS, authorization.custom, strict=False):
        yield Armed(
            filter_,
            _run(
                _gate(filter_, check),
                _question(check.provider, check.cluster, _gate_is_closed(filter_)),
            ),
        )


def armed_external_auth(auth: ExternalAuth) -> Armed:
    """Who has to consent to all requests of a route."""
    return Armed(Filter.EXTERNAL_AUTH, _run(_question(auth.provider, auth.cluster, None)))


def _run(*filters: TypedExtensionConfig) -> CompositePerRoute:
    action = ExecuteFilterAction(filter_chain=FilterChainConfiguration(typed_config=list(filters)))
    always = MatcherOnMatch(action=Action(name="check", typed_config=pack(action)))
    return CompositePerRoute(matcher=Matcher(on_no_match=always))


def _gate(filter_: Filter, check: CustomCheck) -> TypedExtensionConfig:
    """Writes down whether some rule matches the request."""
    rbac = Rbac(
        shadow_rules=rules(RbacAction.DENY, check.rules),
        shadow_rules_stat_prefix=_prefix(filter_),
    )
    return _extension("gate", rbac)


def _question(
    provider: AuthzProvider, cluster: str, only_if: MetadataMatcher | None
) -> TypedExtensionConfig:
    config = ExtAuthz(
        stat_prefix=stat_name(provider.name),
        grpc_service=_grpc(provider, cluster),
        http_service=_http(provider, cluster),
        filter_enabled_metadata=only_if,
        failure_mode_allow=provider.fail_open,
        status_on_error=HttpStatus(code=StatusCode(provider.status_on_error)),
        clear_route_cache=provider.clear_route_cache,
        with_request_body=None if provider.body is None else _body(provider.body),
        allowed_headers=_shown_headers(provider),
        decoder_header_mutation_rules=_kept(provider.kept_headers),
        metadata_context_namespaces=[_TOKENS],
    )
    return _extension("ext_authz", config)


def _gate_is_closed(filter_: Filter) -> MetadataMatcher:
    verdict = f"{_prefix(filter_)}shadow_engine_result"
    return MetadataMatcher(
        filter=_VERDICTS,
        path=[MetadataMatcherPathSegment(key=verdict)],
        value=ValueMatcher(string_match=exact("denied")),
    )


def _prefix(filter_: Filter) -> str:
    return f"ext_authz_{CUSTOM_FILTERS.index(filter_) + 1}_"


def _grpc(provider: AuthzProvider, cluster: str) -> GrpcService | None:
    if provider.protocol is not CheckProtocol.GRPC:
        return None
    return GrpcService(
        envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=cluster),
        timeout=_timeout(provider),
        initial_metadata=[_client()],
    )


def _http(provider: AuthzProvider, cluster: str) -> HttpService | None:
    if provider.protocol is not CheckProtocol.HTTP:
        return None
    added = [HeaderValue(key=name, value=_plain(text)) for name, text in provider.added_headers]
    return HttpService(
        server_uri=HttpUri(
            uri=f"http://{provider.host}:{provider.port}",
            cluster=cluster,
            timeout=_timeout(provider),
        ),
        path_prefix=provider.path_prefix,
        authorization_request=AuthorizationRequest(headers_to_add=[*added, _client()]),
        authorization_response=AuthorizationResponse(
            allowed_upstream_headers=_names(provider.headers_upstream_on_allow),
            allowed_client_headers_on_success=_names(provider.headers_downstream_on_allow),
            allowed_client_headers=_names(provider.headers_downstream_on_deny),
        ),
    )


def _plain(text: str) -> str:
    """The text itself, where Envoy looks for commands between per cent signs."""
    return text.replace("%", "%%")


def _client() -> HeaderValue:
    """Behind the tunnel there is no certificate that a provider could be told of."""
    return HeaderValue(key=PRINCIPAL_HEADER, value=f"%FILTER_STATE({PEER_PRINCIPAL}:PLAIN)%")


def _timeout(provider: AuthzProvider) -> timedelta:
    return timedelta(milliseconds=provider.timeout_ms)


def _shown_headers(provider: AuthzProvider) -> ListStringMatcher | None:
    """GRPC shows all headers if none are named; HTTP those that are named, and who calls."""
    match provider.protocol:
        case CheckProtocol.GRPC:
            return _names(provider.request_headers)
        case CheckProtocol.HTTP:
            return _names((*provider.request_headers, _XFCC))
        case _:
            assert_never(provider.protocol)


def _kept(names: tuple[str, ...]) -> HeaderMutationRules | None:
    """Changes of these headers are passed over, so that everything else of the answer counts."""
    if not names:
        return None
    patterns = (escaped(name.removesuffix("*")) + ".*" * name.endswith("*") for name in names)
    return HeaderMutationRules(
        disallow_expression=RegexMatcher(regex="|".join(patterns)), disallow_system=True
    )


def _names(names: tuple[str, ...]) -> ListStringMatcher | None:
    return ListStringMatcher(patterns=[_name(name) for name in names]) if names else None


def _name(name: str) -> StringMatcher:
    """A header's name: exact, or with a ``*`` at its start or end. Case counts for nothing."""
    if name == "*":
        return regex(".+")
    if name.endswith("*"):
        return StringMatcher(prefix=name[:-1], ignore_case=True)
    if name.startswith("*"):
        return StringMatcher(suffix=name[1:], ignore_case=True)
    return StringMatcher(exact=name, ignore_case=True)


def _body(body: RequestBody) -> BufferSettings:
    return BufferSettings(
        max_request_bytes=body.max_bytes,
        allow_partial_message=body.partial,
        pack_as_bytes=body.raw,
    )


def _extension(name: str, config: Message) -> TypedExtensionConfig:
    return TypedExtensionConfig(name=name, typed_config=pack(config))
