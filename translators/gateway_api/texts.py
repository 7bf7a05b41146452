"""Which texts a proxy accepts as header names, values, host names, paths and patterns.

Whatever passes here is accepted by Envoy: a text that it refuses would take the whole route
table down with it.
"""

import re

import re2

from translators.ir.bootstrap import MAX_REGEX_SIZE

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}")
_HEADER_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]{0,4096}")
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_ORIGIN = re.compile(
    r"\*|([a-z][a-z0-9+.-]*://)(\*|(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(:([0-9]{1,5}|\*))?"
)
_GRPC_SERVICE = re.compile(r"\.?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_GRPC_METHOD = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_MAX_PATH = 1024
_MAX_PATTERN = 1024
_PSEUDO_HEADERS = frozenset({":authority", ":method", ":scheme", ":path"})
_NOT_IN_PATHS = re.compile(r"//|/\.\.?(?:/|\Z)|%2[fF]|[#?]")

_QUIET = re2.Options()
_QUIET.log_errors = False

_OWN_HEADERS = frozenset({"host", "x-forwarded-client-cert"})


def is_header_name(text: str) -> bool:
    """Whether a header of that name can exist (RFC 9110 token; Gateway API HeaderName)."""
    return _HEADER_NAME.fullmatch(text) is not None


def is_matchable_header(text: str) -> bool:
    """Whether a request can be matched by a header of that name."""
    return is_header_name(text) or text.lower() in _PSEUDO_HEADERS


def is_editable_header(text: str) -> bool:
    """Whether a header may be changed: Envoy refuses edits of ``Host`` and pseudo headers.

    What the proxy itself tells of the caller is not for routes to change, least of all for those
    of other namespaces.
    """
    name = text.lower()
    return is_header_name(text) and name not in _OWN_HEADERS and not name.startswith("x-waypost-")


def is_header_value(text: str) -> bool:
    """Whether a text can be the value of a header."""
    return _HEADER_VALUE.fullmatch(text) is not None


def is_host_name(text: str) -> bool:
    """Whether a text is a precise host name (Gateway API PreciseHostname)."""
    return _HOST_NAME.fullmatch(text) is not None


def is_server_name(text: str) -> bool:
    """Whether a text is a host name whose first label may be ``*`` (Gateway API Hostname)."""
    return is_host_name(text.removeprefix("*."))


def is_grpc_service(text: str) -> bool:
    """Whether a text is the full name of a gRPC service (Gateway API GRPCMethodMatch)."""
    return len(text) <= _MAX_PATH and _GRPC_SERVICE.fullmatch(text) is not None


def is_grpc_method(text: str) -> bool:
    """Whether a text is the name of a gRPC method (Gateway API GRPCMethodMatch)."""
    return len(text) <= _MAX_PATH and _GRPC_METHOD.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text is a name in Kubernetes' sense (RFC 1123 subdomain)."""
    return is_host_name(text)


def is_origin(text: str) -> bool:
    """Whether a text is an origin of a CORS rule: ``*``, or scheme, host and port."""
    return _ORIGIN.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Whether a text is an absolute path in the normal form (Gateway API HTTPPathMatch)."""
    return (
        text.startswith("/")
        and len(text) <= _MAX_PATH
        and is_header_value(text)
        and _NOT_IN_PATHS.search(text) is None
    )


def is_cookie_path(text: str) -> bool:
    """Whether a text can be the ``Path`` of a cookie (RFC 6265)."""
    return text.startswith("/") and is_header_value(text) and ";" not in text


def pattern_error(text: str) -> str | None:
    """Why Envoy would refuse a regular expression, or None if it would not."""
    if not text or len(text) > _MAX_PATTERN:
        return f"a regular expression must have 1 to {_MAX_PATTERN} characters"
    try:
        program = re2.compile(text, _QUIET)
    except (re2.error, UnicodeError) as error:
        return f"{text!r} is no valid RE2 regular expression: {_reason(error)}"
    size: int = program.programsize
    if size <= MAX_REGEX_SIZE:
        return None
    return f"the regular expression compiles to {size} instructions of {MAX_REGEX_SIZE}; shorten it"


def _reason(error: Exception) -> str:
    """The words of an RE2 error, which come as bytes."""
    reason = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
