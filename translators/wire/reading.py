"""Finished resources made readable again, for people and for comparing."""

from typing import Any

from betterproto2 import Casing, Message
from envoy_data_plane.message_pool import default_message_pool

from translators.wire.construction import unvalidated
from translators.wire.resource import Resource


def readable(resource: Resource) -> dict[str, Any]:
    """The resource as proto3 JSON: typed configs expanded, defaults left out, keys in snake_case.

    Private keys and other secrets are replaced, so the result may be shown to anybody.
    """
    message_class = default_message_pool.url_to_type[resource.key.type_url]
    with unvalidated():  # what is served is valid, and validators take a second to make
        content = as_json(message_class.parse(resource.body), Casing.SNAKE)
    return {"@type": resource.key.type_url.value, **_redacted(content)}


def as_json(message: Message, casing: Casing = Casing.CAMEL) -> dict[str, Any]:
    """The message as proto3 JSON that Envoy reads: typed configs expanded, defaults left out."""
    content: dict[str, Any] = _without_nameless_types(message.to_dict(casing=casing))
    return content


def _without_nameless_types(value: Any) -> Any:
    """An Any that holds nothing is ``{}``; Envoy refuses one that names the empty type."""
    if isinstance(value, list):
        return [_without_nameless_types(item) for item in value]
    if isinstance(value, dict):
        named = ((key, item) for key, item in value.items() if (key, item) != ("@type", ""))
        return {key: _without_nameless_types(item) for key, item in named}
    return value


def _redacted(content: dict[str, Any]) -> dict[str, Any]:
    """Envoy's own config dump shows ``[redacted]`` in the same place."""
    certificate = content.get("tls_certificate")
    if isinstance(certificate, dict) and "private_key" in certificate:
        redacted = {"inline_string": "[redacted]"}
        return {**content, "tls_certificate": {**certificate, "private_key": redacted}}
    return content
