"""What of the Gateway API is supported: the one list that status, README and CLI are made from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature by its name in the Gateway API's conformance suite, and what it means."""

    name: str
    meaning: str


SUPPORTED_FEATURES: tuple[Feature, ...] = (
    Feature("GRPCRoute", "gRPC calls: methods, headers, weights, statuses of gRPC"),
    Feature("GRPCRouteNamedRouteRule", "rules of GRPCRoutes with names"),
    Feature("HTTPRoute", "the core of HTTPRoute: paths, headers, weights, redirects"),
    Feature("HTTPRoute303RedirectStatusCode", "redirects with status 303"),
    Feature("HTTPRoute307RedirectStatusCode", "redirects with status 307"),
    Feature("HTTPRoute308RedirectStatusCode", "redirects with status 308"),
    Feature("HTTPRouteBackendProtocolH2C", "backends that declare HTTP/2 without TLS"),
    Feature("HTTPRouteBackendProtocolWebSocket", "backends that declare WebSocket"),
    Feature("HTTPRouteBackendRequestHeaderModification", "request headers changed for a backend"),
    Feature("HTTPRouteBackendTimeout", "a time limit for each attempt"),
    Feature("HTTPRouteCORS", "cross-origin rules"),
    Feature("HTTPRouteExternalAuth", "requests that need the consent of an authorizer"),
    Feature("HTTPRouteExternalAuthForwardBody", "bodies shown to authorizers, up to a size"),
    Feature("HTTPRouteExternalAuthGRPC", "authorizers asked by gRPC"),
    Feature("HTTPRouteExternalAuthHTTP", "authorizers asked by HTTP"),
    Feature("HTTPRouteHostRewrite", "another host for the backend"),
    Feature("HTTPRouteMethodMatching", "matches by method"),
    Feature("HTTPRouteNamedRouteRule", "rules with names"),
    Feature("HTTPRouteParentRefPort", "routes of one port of a service"),
    Feature("HTTPRoutePathRedirect", "redirects to another path"),
    Feature("HTTPRoutePathRewrite", "another path for the backend"),
    Feature("HTTPRoutePortRedirect", "redirects to another port"),
    Feature("HTTPRouteQueryParamMatching", "matches by query parameters"),
    Feature("HTTPRouteRequestMirror", "copies of requests"),
    Feature("HTTPRouteRequestMultipleMirrors", "copies of requests to several backends"),
    Feature("HTTPRouteRequestPercentageMirror", "copies of a share of the requests"),
    Feature("HTTPRouteRequestTimeout", "a time limit for the whole request"),
    Feature("HTTPRouteResponseHeaderModification", "response headers changed"),
    Feature("HTTPRouteRetry", "attempts that failed repeated, by status code and with a pause"),
    Feature("HTTPRouteRetryBackendTimeout", "attempts that took too long repeated"),
    Feature("HTTPRouteRetryConnectionError", "attempts whose connection broke repeated"),
    Feature("HTTPRouteSchemeRedirect", "redirects to another scheme"),
    Feature("Mesh", "routes attached to services"),
    Feature("MeshClusterIPMatching", "services told apart by their virtual IP"),
    Feature("MeshConsumerRoute", "routes for the clients of one namespace"),
    Feature(
        "MeshHTTPRouteBackendRequestHeaderModification",
        "in the mesh: request headers changed for a backend",
    ),
    Feature("MeshHTTPRouteNamedRouteRule", "in the mesh: rules with names"),
    Feature("MeshHTTPRouteQueryParamMatching", "in the mesh: matches by query parameters"),
    Feature("MeshHTTPRouteRedirectPath", "in the mesh: redirects to another path"),
    Feature("MeshHTTPRouteRedirectPort", "in the mesh: redirects to another port"),
    Feature("MeshHTTPRouteRewritePath", "in the mesh: another path for the backend"),
    Feature("MeshHTTPRouteSchemeRedirect", "in the mesh: redirects to another scheme"),
    Feature("TCPRoute", "connections shared out by weight"),
    Feature("TLSRoute", "TLS connections by server name, passed through"),
)
"""Sorted by name, as the status of a GatewayClass must list them."""
