"""Kubernetes manifests as frozen typed values: shape only, no meaning."""

from translators.resources.parsing.fields import Problem
from translators.resources.parsing.manifest import Parsed, known_versions, parse

__all__ = ["Parsed", "Problem", "known_versions", "parse"]
