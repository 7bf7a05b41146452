"""The engine for CEL rules: Google's C++ implementation, where its package is installed."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

RuleCheck = Callable[[Mapping[str, object]], bool]
"""Whether a rule holds for its variables, ``self`` and ``oldSelf``. Raises ``RuleError``."""


class RuleError(Exception):
    """A rule can't be compiled or, for these values, evaluated."""


class RuleEngine(Protocol):
    """A CEL implementation with the functions that Kubernetes adds to the language."""

    def compile(self, rule: str) -> RuleCheck:
        """The check of a rule. Raises ``RuleError`` if the rule is no valid CEL."""
        ...


class CelEngine:
    """``RuleEngine`` upon ``cel-expr-python``. Raises ImportError if that is not installed."""

    def __init__(self) -> None:
        # Optional: the package is large and has no wheel for musl.
        from cel_expr_python import cel  # noqa: PLC0415
        from cel_expr_python.ext import ext_strings  # noqa: PLC0415

        self._environment = cel.NewEnv(
            variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN, "format": cel.Type.MAP},
            extensions=[ext_strings.ExtStrings()],
            functions=_declare_functions(cel),
        )
        self._compiled: dict[str, RuleCheck] = {}

    def compile(self, rule: str) -> RuleCheck:
        """See ``RuleEngine``. A rule is compiled once: many fields share the same few."""
        if rule not in self._compiled:
            self._compiled[rule] = self._compile(rule)
        return self._compiled[rule]

    def _compile(self, rule: str) -> RuleCheck:
        try:
            expression = self._environment.compile(rule)
        except RuntimeError as error:
            raise RuleError(str(error)) from None

        def check(variables: Mapping[str, object]) -> bool:
            try:
                value = expression.eval(data={**variables, "format": {}}).value()
            except (RuntimeError, ValueError, OverflowError) as error:
                raise RuleError(str(error)) from None  # for example a text that is no UTF-8
            if not isinstance(value, bool):
                raise RuleError(str(value))
            return value

        return check


def _declare_functions(cel: Any) -> list[Any]:
    """Kubernetes' own functions, as far as the shipped definitions use them."""
    types = cel.Type

    def function(
        name: str, result: Any, *parameters: Any, implementation: Callable[..., object]
    ) -> Any:
        is_member = parameters[0] == types.MAP
        overload = cel.Overload(
            f"kubernetes_{name}", result, list(parameters), is_member, implementation
        )
        return cel.FunctionDecl(name, [overload])

    return [
        function("isIP", types.BOOL, types.STRING, implementation=_is_ip),
        function("isURL", types.BOOL, types.STRING, implementation=_is_url),
        function("url", types.MAP, types.STRING, implementation=_parse_url),
        function("getScheme", types.STRING, types.MAP, implementation=lambda url: url["scheme"]),
        function("dns1123Label", types.MAP, types.MAP, implementation=lambda _format: {}),
        function(
            "validate", types.DYN, types.MAP, types.STRING, implementation=_check_dns1123_label
        ),
    ]


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_url(text: str) -> bool:
    try:
        _parse_url(text)
    except ValueError:
        return False
    return True


def _parse_url(text: str) -> dict[str, str]:
    """An absolute URL or an absolute path, as Go's ``url.ParseRequestURI`` takes it."""
    parts = urlsplit(text)
    if not (parts.scheme or text.startswith("/")) or any(c <= " " or c == "\x7f" for c in text):
        raise ValueError(f"not a URL: {text!r}")
    return {"scheme": parts.scheme}


def _check_dns1123_label(_format: object, text: str) -> list[str] | None:
    """None if the text is a DNS label, else what is wrong with it."""
    plain = text.replace("-", "a")
    is_label = (
        0 < len(text) <= 63
        and plain.isascii()
        and plain.isalnum()
        and plain == plain.lower()
        and text.strip("-") == text
    )
    return None if is_label else ["must be a lower case DNS label"]
