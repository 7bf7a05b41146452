"""``waypost status``."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xds_server.cli.options import FOUND_PROBLEMS, manifests_option, mesh_options

if TYPE_CHECKING:
    from translators.ir.condition import Condition
    from translators.ir.waypoint import Mesh
    from translators.status import ObjectStatus
    from xds_server.cli.manifests import Manifests

_HEADINGS = ("KIND", "NAMESPACE/NAME", "CONDITION", "STATUS", "REASON", "MESSAGE")
_GAP = "   "


@click.command()
@manifests_option
@click.option("-A", "--all", "show_all", is_flag=True, help="In the table, also what is fine.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "yaml", "json"]),
    default="table",
    show_default=True,
    help="A table of what is not fine, or every object with the status it would get.",
)
@mesh_options
def status(manifests: Path, show_all: bool, output: str, mesh: "Mesh") -> None:
    """Print the status that manifests would get in a cluster, offline.

    The exit code is 79 if anything is not fine or could not be read.
    """
    import sys
    from datetime import UTC, datetime

    from translators.status import is_fine
    from xds_server.cli.manifests import compile_manifests

    compiled = compile_manifests(manifests, mesh)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = list(compiled.compiler.statuses(lambda _condition: now))
    told = [condition for each in found for condition in each.conditions]
    wrong = [condition for condition in told if not is_fine(condition)]
    match output:
        case "yaml":
            _print_yaml(map(document, found))
        case "json":
            _print_json(map(document, found))
        case _:
            shown = told if show_all else wrong
            _print_table(shown) if shown else click.echo(_praise(bool(told), compiled))
    compiled.report()
    if wrong:
        sys.exit(FOUND_PROBLEMS)


def document(found: "ObjectStatus") -> dict[str, Any]:
    """The object as far as its status goes: what a controller would apply."""
    from translators.resources import known_versions

    meta, kind, group = found.subject.meta, found.subject.kind, found.subject.group
    version = known_versions()[group, kind][0]
    names = {"name": meta.name, "namespace": meta.namespace}
    return {
        "apiVersion": f"{group}/{version}" if group else version,
        "kind": kind,
        "metadata": {key: value for key, value in names.items() if value},
        "status": found.status,
    }


def _praise(is_told: bool, compiled: "Manifests") -> str:
    """What to say instead of an empty table."""
    if compiled.problems:
        return "everything that could be read is fine"
    return "everything is fine" if is_told else "nothing here has a status"


def _print_table(conditions: "Iterable[Condition]") -> None:
    rows = [_HEADINGS, *map(_row, conditions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, message in rows:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        click.echo(_GAP.join([*padded, message]))


def _row(condition: "Condition") -> tuple[str, ...]:
    origin = condition.origin
    owner = f"{origin.namespace}/{origin.name}" if origin.namespace else origin.name
    status = "True" if condition.status else "False"
    return (origin.kind, owner, _type(condition), status, condition.reason, condition.message)


def _type(condition: "Condition") -> str:
    """The type, and which part of the object is meant: ``Accepted (parentRefs[1])``."""
    return f"{condition.type} ({condition.scope})" if condition.scope else condition.type


def _print_yaml(documents: Iterator[dict[str, Any]]) -> None:
    import yaml

    click.echo(
        yaml.safe_dump_all(documents, sort_keys=False, width=100, allow_unicode=True), nl=False
    )


def _print_json(documents: Iterator[dict[str, Any]]) -> None:
    import json

    click.echo(json.dumps(list(documents), indent=2))
