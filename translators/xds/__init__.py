"""From our model to Envoy's: each node becomes one message, made from nothing but that node."""

from translators.xds.consistency import check
from translators.xds.rendering import key_of, render, resource

__all__ = ["check", "key_of", "render", "resource"]
