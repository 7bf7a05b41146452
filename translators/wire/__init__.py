"""Envoy messages to bytes, once: encoder, Any, content-hash versions, discovery messages."""

from translators.wire.construction import unvalidated, validated
from translators.wire.encoder import encode, encoding
from translators.wire.packing import pack
from translators.wire.resource import Resource, ResourceKey, TypeUrl, content_version, finish
from translators.wire.sharing import kept, shared
from translators.wire.snapshot import Snapshot
from translators.wire.template import template

__all__ = [
    "Resource",
    "ResourceKey",
    "Snapshot",
    "TypeUrl",
    "content_version",
    "encode",
    "encoding",
    "finish",
    "kept",
    "pack",
    "shared",
    "template",
    "unvalidated",
    "validated",
]
