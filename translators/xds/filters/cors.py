"""Cross-origin rules of a route (Gateway API HTTPCORSFilter)."""

from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import Cors as InertCors
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from translators.ir.route import Cors
from translators.xds.filters.menu import Armed, Filter
from translators.xds.text import escaped, exact, regex

# A wildcard stands for labels of a host name, never for its port or for what follows a scheme.
_LABELS = "[A-Za-z0-9.-]+"


def inert_cors() -> InertCors:
    """Says nothing about origins."""
    return InertCors()


def armed_cors(cors: Cors) -> Armed:
    """The rules of one route. A preflight from an origin that they don't name stops here."""
    policy = CorsPolicy(
        allow_origin_string_match=[_origin(origin) for origin in cors.origins],
        allow_methods=",".join(cors.methods),
        allow_headers=",".join(cors.headers),
        expose_headers=",".join(cors.expose),
        max_age="" if cors.max_age_s is None else str(cors.max_age_s),
        allow_credentials=cors.credentials,
        forward_not_matching_preflights=False,
    )
    return Armed(Filter.CORS, policy)


def _origin(origin: str) -> StringMatcher:
    if origin == "*":
        return regex(".+")
    if "*" not in origin:
        return exact(origin)
    return regex(_LABELS.join(escaped(part) for part in origin.split("*")))
