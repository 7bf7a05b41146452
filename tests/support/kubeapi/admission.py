"""What happens to an object between the request and the store: prune, default, validate."""

from collections.abc import Mapping
from typing import Any

from tests.support.kubeapi.builtin_defaults import BuiltInDefaults
from tests.support.kubeapi.errors import ApiError, bad_request, invalid
from tests.support.kubeapi.fieldsets import flatten
from tests.support.kubeapi.kinds import CRD_KIND, Kind
from tests.support.kubeapi.ownership import show
from tests.support.kubeapi.store import Object
from xds_server.validation import Validator
from xds_server.validation.cel import CelEngine, RuleError
from xds_server.validation.defaults import drop_unknown, fill_defaults
from xds_server.validation.metadata import check_metadata
from xds_server.validation.rules import compile_rules
from xds_server.validation.schemas import Definition, read_definitions


class Admission:
    """Knows the validators of all custom kinds; each is compiled once."""

    def __init__(self) -> None:
        self._engine = CelEngine()
        self._built_in = BuiltInDefaults()
        self._validators: dict[tuple[tuple[str, str], str], Validator] = {}

    def learn(self, crd: Mapping[str, Any], kind: Kind) -> None:
        """Take the schemas of a CustomResourceDefinition."""
        for definition in read_definitions(crd):
            if definition.served:
                key = (kind.key, definition.version)
                self._validators[key] = Validator([definition], self._engine)

    def admit(
        self, value: Object, kind: Kind, version: str, previous: Object | None, *, strict: bool
    ) -> Object:
        """The object as it is stored. Raises ``ApiError`` 422, or 400 for unknown fields."""
        schema = kind.schemas[version]
        if not kind.is_custom:
            return self._admit_built_in(fill_defaults(value, schema), kind)
        known = drop_unknown(value, schema)
        if strict and known != value:
            lost = flatten(value, schema).keys() - flatten(known, schema).keys()
            fields = ", ".join(f'unknown field "{show(path)[1:]}"' for path in sorted(lost))
            raise bad_request(f"strict decoding error: {fields}")
        filled: Object = fill_defaults(known, schema)
        validator = self._validators[kind.key, version]
        as_before = None if previous is None else {**previous, "apiVersion": value["apiVersion"]}
        if found := validator.validate(filled, as_before):
            raise invalid(kind.kind, value["metadata"]["name"], list(found))
        return filled

    def _admit_built_in(self, value: Object, kind: Kind) -> Object:
        if found := list(check_metadata(value["metadata"], namespaced=kind.namespaced)):
            raise invalid(kind.kind, value["metadata"]["name"], list(found))
        if kind is CRD_KIND:
            self._check_crd(value)
        return self._built_in.fill(value)

    def _check_crd(self, crd: Object) -> None:
        """A definition must have its proper name and rules that compile."""
        name = crd["metadata"]["name"]
        try:
            definitions = list(read_definitions(crd))
            expected = f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"
        except (KeyError, TypeError, AttributeError) as error:
            raise invalid("CustomResourceDefinition", name, [("spec", repr(error))]) from None
        if name != expected:
            why = f"must be spec.names.plural+'.'+spec.group: {expected}"
            raise invalid("CustomResourceDefinition", name, [("metadata.name", why)])
        for each in definitions:
            self._check_rules(each, name)

    def _check_rules(self, definition: Definition, name: str) -> None:
        try:
            compile_rules(definition.schema, self._engine)
        except RuleError as error:
            raise invalid("CustomResourceDefinition", name, [("spec", str(error))]) from None


def check_type(value: object, kind: Kind, version: str) -> Object:
    """The body of a request, if it is an object of the kind. Raises ``ApiError`` 400."""
    if not isinstance(value, dict) or not isinstance(value.get("metadata", {}), dict):
        raise bad_request("the body is no object")
    expected = (kind.api_version(version), kind.kind)
    given = (value.get("apiVersion", expected[0]), value.get("kind", expected[1]))
    if given != expected:
        raise bad_request(
            f"the object provided is {given[0]} {given[1]}, not {expected[0]} {expected[1]}"
        )
    head = {"apiVersion": expected[0], "kind": expected[1]}
    return {**value, **head, "metadata": dict(value.get("metadata") or {})}


def check_version(value: Object, kind: Kind, stored: Object) -> None:
    """Optimistic lock: raises ``ApiError`` 409 if the object was written since it was read."""
    name = stored["metadata"]["name"]
    version = value["metadata"].get("resourceVersion")
    if not version and kind.needs_version:
        why = "0x0: must be specified for an update"
        raise invalid(kind.kind, name, [("metadata.resourceVersion", why)])
    if version and version != stored["metadata"]["resourceVersion"]:
        why = (
            "the object has been modified; please apply your changes to the latest version and"
            " try again"
        )
        raise ApiError(
            409,
            "Conflict",
            f'Operation cannot be fulfilled on {kind.full_name} "{name}": {why}',
            name=name,
            kind=kind.plural,
        )
