"""Checks manifests offline as an API server does: with the schemas and CEL rules of their CRDs."""

from xds_server.validation.validator import Validator, default_validator, validate
from xds_server.validation.violation import Violation

__all__ = ["Validator", "Violation", "default_validator", "validate"]
