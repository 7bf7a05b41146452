"""A finished xDS resource: bytes, a version that is a hash of them, and where they came from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from betterproto2 import Message

from translators.ir.origin import Origin
from translators.wire.encoder import encode
from translators.wire.packing import type_url_of


class TypeUrl(StrEnum):
    """The resource types that a waypoint asks for, in the order in which additions are sent.

    xDS protocol, "Eventual consistency considerations": make before break.
    """

    # A type URL, whatever its name: S105 looks for passwords.
    SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105
    CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    ENDPOINT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
    EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
    ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


class ResourceKey(NamedTuple):
    """Names a resource within one waypoint's configuration."""

    type_url: TypeUrl
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One xDS resource, encoded once and shared by every stream that serves it.

    ``requires`` names resources that a client must hold before it may be sent this one
    (a route table requires its clusters). ``origins`` says which objects it was made from.
    """

    key: ResourceKey
    body: bytes
    version: str
    requires: tuple[ResourceKey, ...] = field(default=(), compare=False)
    origins: tuple[Origin, ...] = field(default=(), compare=False)


def content_version(body: bytes) -> str:
    """The version of a resource: a hash of its bytes, equal across restarts and replicas."""
    return blake2b(body, digest_size=16).hexdigest()


def finish(
    type_url: TypeUrl,
    name: str,
    message: Message,
    requires: Iterable[ResourceKey] = (),
    origins: Iterable[Origin] = (),
) -> Resource:
    """Encode a message and give it a version.

    Raises ``ValueError`` if the message is not of that type.
    """
    if type_url_of(message) != type_url:
        raise ValueError(f"{name!r}: {type_url_of(message)} is not {type_url}")
    body = encode(message)
    return Resource(
        ResourceKey(type_url, name),
        body,
        content_version(body),
        tuple(dict.fromkeys(requires)),
        tuple(origins),
    )
