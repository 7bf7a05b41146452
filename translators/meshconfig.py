"""The mesh's configuration (Istio's MeshConfig), as far as it concerns waypoints.

What Istio has no field for stands under ``waypost``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from translators.gateway_api.durations import is_duration, milliseconds
from translators.gateway_api.names import authority
from translators.gateway_api.texts import is_header_name, is_header_value
from translators.ir.deployment import DeploymentFacts
from translators.ir.external_authorization import AuthzProvider, CheckProtocol, RequestBody
from translators.ir.waypoint import Mesh
from translators.resources.parsing.address import canonical_ip
from translators.resources.parsing.fields import Fields, Problem

_DNS_PORT = "53"
_MAX_PROVIDERS = 64
_MAX_NAMES = 64
_MAX_BODY = 1 << 30
_MAX_DURATION_MS = 1000 * 3_600_000
_OWN = frozenset(
    {
        *("dnsServers", "layeredAuthorization", "maxConnectionDuration", "publicRoots"),
        *("tokensBeforeCustom", "waypoints"),
    }
)
_ERRORS = frozenset({*range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431, *range(500, 509)})
_UNBOUNDED_MS = 600_000  # Istio's default for a provider that says nothing
_KINDS = {
    "envoyExtAuthzGrpc": CheckProtocol.GRPC,
    "envoyExtAuthzHttp": CheckProtocol.HTTP,
}


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """A mesh as configured, and what could not be read: then it must not be used."""

    mesh: Mesh
    problems: tuple[Problem, ...] = ()


def read_mesh_config(document: object, given: Mesh) -> MeshConfig:
    """Read a MeshConfig as YAML gives it, over what is ``given``.

    Fields that are not about waypoints are passed over, and so are providers of other kinds.
    """
    problems: list[Problem] = []
    fields = Fields({} if document is None else document, problems)
    mesh = replace(
        given,
        trust_domain=fields.text("trustDomain", given.trust_domain),
        trust_domain_aliases=(
            *given.trust_domain_aliases,
            *fields.texts("trustDomainAliases", _MAX_NAMES),
        ),
        root_namespace=fields.text("rootNamespace", given.root_namespace),
        providers=_read_providers(fields),
    )
    mesh = _read_own(fields.within("waypost"), mesh)
    return MeshConfig(mesh, tuple(problems))


def _read_own(fields: Fields, given: Mesh) -> Mesh:
    fields.refuse_others(_OWN)
    bound = _read_duration(fields, "maxConnectionDuration", given.max_connection_ms or 0)
    return replace(
        given,
        tokens_before_custom=fields.flag("tokensBeforeCustom", default=given.tokens_before_custom),
        layered_authorization=fields.flag(
            "layeredAuthorization", default=given.layered_authorization
        ),
        max_connection_ms=bound or None,
        dns_servers=_read_dns_servers(fields) or given.dns_servers,
        public_roots=fields.text("publicRoots", given.public_roots),
        deployment=_read_deployment(fields.within("waypoints")),
    )


def _read_deployment(fields: Fields) -> DeploymentFacts:
    fields.refuse_others(
        frozenset({"concurrency", "drainSeconds", "image", "revision", "xdsAddress"})
    )
    return DeploymentFacts(
        image=fields.text("image"),
        xds=fields.text("xdsAddress"),
        revision=fields.text("revision"),
        concurrency=fields.number("concurrency", 0, 1, 256),
        drain_s=fields.number("drainSeconds", 0, 1, 3600),
    )


def _read_dns_servers(fields: Fields) -> tuple[str, ...]:
    """Addresses with or without a port, in one form."""
    found = (_dns_server(fields, text) for text in fields.texts("dnsServers", _MAX_NAMES))
    return tuple(one for one in found if one)


def _dns_server(fields: Fields, text: str) -> str:
    host, port = text, _DNS_PORT
    if canonical_ip(text) is None:
        host, _, port = text.rpartition(":")
    address = canonical_ip(host.removeprefix("[").removesuffix("]"))
    if address is None or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        hint = "Write an IP address, or address:port."
        fields.complain("dnsServers", f"{text!r} is no address of a server", hint)
        return ""
    return authority(address, int(port))


def _read_providers(fields: Fields) -> tuple[AuthzProvider, ...]:
    entries = fields.each("extensionProviders", _MAX_PROVIDERS, _read_provider)
    found = [entry for entry in entries if entry is not None]
    if len({each.name for each in found}) < len(found):
        fields.complain("extensionProviders", "has two of one name", "Name each differently.")
    return tuple(found)


def _read_provider(fields: Fields) -> AuthzProvider | None:
    """A provider of authorization; None if it is one of something else."""
    name = fields.required("name")
    for kind, protocol in _KINDS.items():
        if fields.raw(kind) is not None:
            return _read_authz(fields.within(kind), name, protocol)
    return None


def _read_authz(fields: Fields, name: str, protocol: CheckProtocol) -> AuthzProvider:
    namespace, slash, host = fields.required("service").rpartition("/")
    provider = AuthzProvider(
        name=name,
        host=host,
        namespace=namespace if slash else "",
        port=fields.port(),
        protocol=protocol,
        timeout_ms=_read_duration(fields, "timeout", _UNBOUNDED_MS),
        fail_open=fields.flag("failOpen"),
        status_on_error=_read_status(fields),
        clear_route_cache=fields.flag("clearRouteCache"),
        body=fields.part("includeRequestBodyInCheck", _read_body),
    )
    return provider if protocol is CheckProtocol.GRPC else _read_http(fields, provider)


def _read_http(fields: Fields, provider: AuthzProvider) -> AuthzProvider:
    shown = (
        *_read_names(fields, "includeRequestHeadersInCheck"),
        *_read_names(fields, "includeHeadersInCheck"),  # its older name
    )
    return replace(
        provider,
        path_prefix=fields.text("pathPrefix"),
        request_headers=shown,
        added_headers=_read_added(fields),
        headers_upstream_on_allow=_read_names(fields, "headersToUpstreamOnAllow"),
        headers_downstream_on_allow=_read_names(fields, "headersToDownstreamOnAllow"),
        headers_downstream_on_deny=_read_names(fields, "headersToDownstreamOnDeny"),
    )


def _read_names(fields: Fields, name: str) -> tuple[str, ...]:
    """Names of headers, perhaps with a ``*`` at one end."""
    names = fields.texts(name, _MAX_NAMES)
    for each in names:
        if not is_header_name(each) or "*" in each[1:-1]:
            fields.complain(name, f"{each!r} can't name a header", "Use a name, or one with *.")
    return names


def _read_added(fields: Fields) -> tuple[tuple[str, str], ...]:
    added: Mapping[str, str] = fields.table("includeAdditionalHeadersInCheck")
    for name, value in added.items():
        if not is_header_name(name) or not is_header_value(value):
            where = "includeAdditionalHeadersInCheck"
            fields.complain(where, f"{name!r} can't be a header", "Write a header's name.")
    return tuple(sorted(added.items()))


def _read_body(fields: Fields) -> RequestBody:
    return RequestBody(
        max_bytes=fields.number("maxRequestBytes", 1024, 1, _MAX_BODY),
        partial=fields.flag("allowPartialMessage"),
        raw=fields.flag("packAsBytes"),
    )


def _read_status(fields: Fields) -> int:
    text = fields.text("statusOnError", "403")
    if text.isascii() and text.isdigit() and int(text) in _ERRORS:
        return int(text)
    fields.complain("statusOnError", f"{text!r} is no status of an error", 'Write "503", say.')
    return 403


def _read_duration(fields: Fields, name: str, default: int) -> int:
    """A duration in milliseconds."""
    text = fields.text_or_none(name)
    if text is None:
        return default
    if is_duration(text) and 0 < milliseconds(text) <= _MAX_DURATION_MS:
        return milliseconds(text)
    fields.complain(name, f"{text!r} is no duration", "Write 500ms or 1h, say.")
    return default
