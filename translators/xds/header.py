"""Changes to headers."""

from collections.abc import Iterable
from typing import TypedDict

from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
)

from translators.ir.route import HeaderEdit


class HeaderChanges(TypedDict):
    """The four fields that routes, virtual hosts and weighted clusters share."""

    request_headers_to_add: list[HeaderValueOption]
    request_headers_to_remove: list[str]
    response_headers_to_add: list[HeaderValueOption]
    response_headers_to_remove: list[str]


def header_changes(request: HeaderEdit, response: HeaderEdit) -> HeaderChanges:
    """Both edits, without what Envoy lets nobody edit here: ``host`` and pseudo-headers."""
    return HeaderChanges(
        request_headers_to_add=additions(request),
        request_headers_to_remove=editable(request.remove),
        response_headers_to_add=additions(response),
        response_headers_to_remove=editable(response.remove),
    )


def additions(edit: HeaderEdit) -> list[HeaderValueOption]:
    """The headers that an edit sets or adds."""
    replace = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    append = HeaderValueOptionHeaderAppendAction.APPEND_IF_EXISTS_OR_ADD
    return [
        *(_option(name, value, replace) for name, value in edit.set if editable([name])),
        *(_option(name, value, append) for name, value in edit.add if editable([name])),
    ]


def _option(
    name: str, value: str, action: HeaderValueOptionHeaderAppendAction
) -> HeaderValueOption:
    # A percent sign would begin one of Envoy's command operators.
    literal = HeaderValue(key=name, value=value.replace("%", "%%"))
    return HeaderValueOption(header=literal, append_action=action, keep_empty_value=True)


def editable(names: Iterable[str]) -> list[str]:
    """The names that Envoy lets anybody edit."""
    return [name for name in names if name.lower() != "host" and not name.startswith(":")]
