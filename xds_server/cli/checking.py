"""The judge of manifests that do not come from a cluster, where a server has judged them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xds_server.sources.source import Check

SCHEMAS_SKIPPED = (
    "manifests are not checked with the schemas of their kinds: the package {} is not installed"
    " (pip install 'waypost[validation]')"
)


def manifest_check(notify: Callable[[str], None]) -> "Check":
    """The check with the schemas and rules of all kinds; as much of it as is installed.

    ``notify`` is told once what is missing.
    """
    from xds_server.sources.source import unchecked

    try:
        from xds_server.validation.validator import RULES_SKIPPED, default_validator
    except ImportError as error:
        notify(SCHEMAS_SKIPPED.format(error.name))
        return unchecked
    validator = default_validator()
    if not validator.checks_rules:
        notify(RULES_SKIPPED)
    return validator.validate
