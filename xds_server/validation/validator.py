"""Joins the checks of a kind in the order of an API server: structure, metadata, lists, rules."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from xds_server.validation.cel import CelEngine, RuleEngine
from xds_server.validation.defaults import fill_defaults
from xds_server.validation.lists import find_duplicates
from xds_server.validation.metadata import check_metadata
from xds_server.validation.moved import with_moved_fields
from xds_server.validation.rules import RulesCheck, compile_rules
from xds_server.validation.schemas import Channel, Definition, load_crds, read_definitions
from xds_server.validation.structure import StructureCheck, compile_structure
from xds_server.validation.violation import Violation

RULES_SKIPPED = (
    "CEL rules are not checked: the package cel-expr-python is not installed"
    " (pip install 'waypost[validation]')"
)


class _KindCheck:
    """The checks of one definition, each compiled when first needed."""

    def __init__(self, definition: Definition, engine: RuleEngine | None) -> None:
        self._definition = definition
        self._engine = engine
        self._structure: StructureCheck | None = None
        self._rules: RulesCheck | None = None

    def run(self, manifest: Mapping[str, Any], previous: object) -> list[Violation]:
        definition = self._definition
        filled = fill_defaults(manifest, definition.schema)
        if self._structure is None:
            self._structure = compile_structure(definition.schema)
        if found := self._structure(filled):
            return found
        found = [
            *check_metadata(filled["metadata"], namespaced=definition.namespaced),
            *find_duplicates(filled, definition.schema),
        ]
        if self._engine is None:
            return found
        if self._rules is None:
            self._rules = compile_rules(definition.schema, self._engine)
        return [*found, *self._rules(filled, previous)]


class Validator:
    """Checks objects against a set of definitions.

    ``engine`` runs the CEL rules; with None they are skipped.
    """

    def __init__(self, definitions: Iterable[Definition], engine: RuleEngine | None) -> None:
        self._checks = {(d.api_version, d.kind): _KindCheck(d, engine) for d in definitions}
        self.checks_rules = engine is not None

    def knows(self, manifest: object) -> bool:
        """Whether there is a schema for the manifest's kind and version."""
        return self._find(manifest) is not None

    def validate(
        self, manifest: object, previous: Mapping[str, Any] | None = None
    ) -> tuple[Violation, ...]:
        """What an API server would refuse in a manifest, as YAML or JSON gives it.

        ``previous`` is the valid object that the manifest updates, None if it is new. Objects of
        kinds that are not known are not judged. Never raises for bad input.
        """
        check = self._find(manifest)
        if check is None or not isinstance(manifest, Mapping):
            return ()
        return tuple(check.run(manifest, previous))

    def _find(self, manifest: object) -> _KindCheck | None:
        match manifest:
            case {"apiVersion": str(api_version), "kind": str(kind)}:
                return self._checks.get((api_version, kind))
            case _:
                return None


@cache
def default_validator(channel: Channel = "experimental") -> Validator:
    """The validator for the kinds of the Gateway API and Istio, shared by all callers."""
    crds = (*load_crds(f"gateway-api-{channel}"), *load_crds("istio"))
    definitions = (with_moved_fields(each) for crd in crds for each in read_definitions(crd))
    return Validator((each for each in definitions if each.served), _find_engine())


def _find_engine() -> RuleEngine | None:
    try:
        return CelEngine()
    except ImportError:
        return None


def validate(manifest: object) -> tuple[Violation, ...]:
    """What is wrong with a manifest of a Gateway API or Istio kind; empty for other kinds."""
    return default_validator().validate(manifest)
