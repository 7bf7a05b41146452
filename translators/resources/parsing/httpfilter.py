"""Reading the filters of HTTP routes."""

from translators.resources.httproute import (
    HeaderModifier,
    HttpCors,
    HttpExternalAuth,
    HttpFilter,
    PathModifier,
    RequestMirror,
    RequestRedirect,
    UrlRewrite,
)
from translators.resources.parsing import bounds
from translators.resources.parsing.fields import Fields
from translators.resources.parsing.reference import read_backend_ref


def read_filters(fields: Fields, namespace: str) -> tuple[HttpFilter, ...]:
    """``filters`` of a rule or of a backend."""
    return fields.each("filters", bounds.FILTERS, lambda entry: _read_filter(entry, namespace))


def _read_filter(fields: Fields, namespace: str) -> HttpFilter:
    kind = fields.required("type")
    match kind:
        case "RequestHeaderModifier":
            return HttpFilter(
                kind, header_modifier=fields.part("requestHeaderModifier", _read_headers)
            )
        case "ResponseHeaderModifier":
            return HttpFilter(
                kind, header_modifier=fields.part("responseHeaderModifier", _read_headers)
            )
        case "RequestRedirect":
            return HttpFilter(kind, redirect=fields.part("requestRedirect", _read_redirect))
        case "URLRewrite":
            return HttpFilter(kind, rewrite=fields.part("urlRewrite", _read_rewrite))
        case "RequestMirror":
            return HttpFilter(
                kind,
                mirror=fields.part("requestMirror", lambda part: _read_mirror(part, namespace)),
            )
        case "CORS":
            return HttpFilter(kind, cors=fields.part("cors", _read_cors))
        case "ExternalAuth":
            return HttpFilter(
                kind,
                external_auth=fields.part(
                    "externalAuth", lambda part: _read_external_auth(part, namespace)
                ),
            )
        case _:
            return HttpFilter(kind)


def _read_headers(fields: Fields) -> HeaderModifier:
    return HeaderModifier(
        set=fields.each("set", bounds.HEADERS, _read_header),
        add=fields.each("add", bounds.HEADERS, _read_header),
        remove=fields.texts("remove", bounds.HEADERS),
    )


def _read_header(fields: Fields) -> tuple[str, str]:
    return fields.required("name"), fields.text("value")


def _read_redirect(fields: Fields) -> RequestRedirect:
    return RequestRedirect(
        scheme=fields.text_or_none("scheme"),
        hostname=fields.text_or_none("hostname", bounds.NAME),
        path=fields.part("path", _read_path_modifier),
        port=fields.port_or_none(),
        status_code=fields.number("statusCode", 302, 100, 599),
    )


def _read_rewrite(fields: Fields) -> UrlRewrite:
    return UrlRewrite(
        hostname=fields.text_or_none("hostname", bounds.NAME),
        path=fields.part("path", _read_path_modifier),
    )


def _read_path_modifier(fields: Fields) -> PathModifier:
    kind = fields.required("type")
    value = "replaceFullPath" if kind == "ReplaceFullPath" else "replacePrefixMatch"
    return PathModifier(kind, fields.text(value, limit=bounds.PATH))


def _read_mirror(fields: Fields, namespace: str) -> RequestMirror:
    return RequestMirror(
        backend=read_backend_ref(fields.within("backendRef"), namespace),
        percent=fields.number_or_none("percent", 0, 100),
        fraction=fields.part("fraction", _read_fraction),
    )


def _read_fraction(fields: Fields) -> tuple[int, int]:
    if fields.raw("numerator") is None:
        fields.complain("numerator", "is missing", "Add numerator.")
    return fields.number("numerator", 0), fields.number("denominator", 100, low=1)


def _read_cors(fields: Fields) -> HttpCors:
    return HttpCors(
        allow_origins=fields.texts("allowOrigins", bounds.HEADERS),
        allow_credentials=fields.flag("allowCredentials"),
        allow_methods=fields.texts("allowMethods", bounds.HEADERS),
        allow_headers=fields.texts("allowHeaders", bounds.HEADERS),
        expose_headers=fields.texts("exposeHeaders", bounds.HEADERS),
        max_age=fields.number("maxAge", 5, low=0),
    )


def _read_external_auth(fields: Fields, namespace: str) -> HttpExternalAuth:
    http, grpc, body = fields.within("http"), fields.within("grpc"), fields.within("forwardBody")
    protocol = fields.required("protocol")
    return HttpExternalAuth(
        protocol=protocol,
        backend=read_backend_ref(fields.within("backendRef"), namespace),
        path=http.text("path", limit=bounds.PATH),
        allowed_headers=(grpc if protocol == "GRPC" else http).texts(
            "allowedHeaders", bounds.HEADERS
        ),
        allowed_response_headers=http.texts("allowedResponseHeaders", bounds.HEADERS),
        max_body=body.number_or_none("maxSize"),
    )
