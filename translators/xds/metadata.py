"""Metadata: facts about a resource that Envoy shows in its config dump or hands to filters."""

from collections.abc import Mapping, Sequence

from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.google.protobuf import ListValue, Struct, Value

from translators.ir.origin import Origin
from translators.wire import shared, template

_API_PATHS = {
    "AuthorizationPolicy": "security.istio.io/v1",
    "GRPCRoute": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "ServiceEntry": "networking.istio.io/v1",
    "TCPRoute": "gateway.networking.k8s.io/v1alpha2",
    "TLSRoute": "gateway.networking.k8s.io/v1",
}

_MANY = 50  # origins: enough for an edit of one to be worth knowing the others


@template
def _text(text: str) -> Value:
    return Value(string_value=text)


def struct(fields: Mapping[str, str]) -> Struct:
    """A Struct of texts."""
    return Struct(fields={key: _text(text) for key, text in fields.items()})


def filter_metadata(namespaces: Mapping[str, Mapping[str, str]]) -> Metadata:
    """Metadata of texts, by name and key."""
    return Metadata(filter_metadata={name: struct(fields) for name, fields in namespaces.items()})


def istio_config(origin: Origin | None) -> str:
    """What Istio's tools know an object by: the path of its API, its kind in lower case.

    Empty for objects that they do not look for.
    """
    if origin is None or origin.kind not in _API_PATHS:
        return ""
    owner = f"namespaces/{origin.namespace}/{origin.kind.lower()}/{origin.name}"
    return f"/apis/{_API_PATHS[origin.kind]}/{owner}"


def route_provenance(origin: Origin | None) -> Metadata | None:
    """Where a route comes from: our ``waypost.origin``, and ``istio.config`` for Istio's tools."""
    if origin is None:
        return None
    config = istio_config(origin)
    if not config:
        return filter_metadata({"waypost": {"origin": str(origin)}})
    return provenance_for_istio(config, str(origin))


@template
def provenance_for_istio(config: str, origin: str) -> Metadata:
    """``istio.config`` and ``waypost.origin``."""
    return filter_metadata({"istio": {"config": config}, "waypost": {"origin": origin}})


def provenance(origins: Sequence[Origin]) -> Metadata | None:
    """Where a resource comes from, as the list ``waypost.origins``."""
    name = _shared_name if len(origins) > _MANY else _name
    texts = [name(origin) for origin in origins]
    return _origins(ListValue(values=texts)) if texts else None


def _name(origin: Origin) -> Value:
    return _text(str(origin))


_shared_name = shared(_name)


@template
def _origins(texts: ListValue) -> Metadata:
    listed = Value(list_value=texts)
    return Metadata(filter_metadata={"waypost": Struct(fields={"origins": listed})})
