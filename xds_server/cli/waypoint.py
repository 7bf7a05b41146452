"""``waypost waypoint``."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xds_server.cli.options import FOUND_PROBLEMS, mesh_options, with_options

if TYPE_CHECKING:
    from translators.ir.waypoint import Mesh
    from xds_server.status.objects import Objects
    from xds_server.waypoints.folder import Folder
    from xds_server.waypoints.place import Found, Place


_DEFAULT_NAMESPACE = "default"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class _Duration(click.ParamType[float]):
    """A duration as Go writes it, ``90s`` or ``1m30s``, in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        import re

        part = r"(\d+(?:\.\d+)?)(ms|s|m|h)"
        if isinstance(value, float):
            return value
        if not re.fullmatch(f"(?:{part})+", value):
            self.fail(f"{value!r} is no duration such as 90s or 1m30s", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(part, value))


@click.group()
@click.option("--name", default="waypoint", show_default=True, help="The name of the waypoint.")
@click.pass_context
def waypoint(ctx: click.Context, name: str) -> None:
    """Make, list and remove waypoints, in a cluster or in a folder of manifests."""
    ctx.obj = name


_name = click.option("--name", "own_name", help="The name of the waypoint.")
_namespace = click.option(
    "-n",
    "--namespace",
    default="",
    help="The namespace. [default: that of the kubeconfig's context, or default]",
)
_everywhere = click.option(
    "-A", "--all-namespaces", "everywhere", is_flag=True, help="Those of all namespaces."
)
_for = click.option("--for", "traffic", default="", help="Whose: all, none, service or workload.")
_revision = click.option("-r", "--revision", default="", help="The revision to label it with.")
_of_revision = click.option("-r", "--revision", default="", help="All waypoints of this revision.")
_timeout = click.option(
    "--waypoint-timeout",
    "timeout",
    type=_Duration(),
    default="90s",
    show_default=True,
    help="How long to wait.",
)
_output = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "yaml", "json"]),
    default="table",
    show_default=True,
    help="The format.",
)
_where = with_options(
    click.option(
        "-f",
        "--filename",
        "folder",
        type=click.Path(path_type=Path),
        help="Work on this folder of manifests, or file, rather than on a cluster.",
    ),
    click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="How to reach the cluster; else the usual kubeconfig.",
    ),
    click.option("--context", help="The context of the kubeconfig."),
    mesh_options,
)


@waypoint.command()
@with_options(_name, _namespace, _for, _revision)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="The format.",
)
@click.pass_obj
def generate(
    name: str, /, own_name: str | None, namespace: str, traffic: str, revision: str, output: str
) -> None:
    """Print the manifest of a waypoint."""
    from xds_server.waypoints.manifest import WaypointError, manifest, waypoint_spec

    try:
        spec = waypoint_spec(namespace, own_name or name, traffic, revision)
    except WaypointError as problem:
        raise click.ClickException(f"failed to create gateway: {problem}") from None
    _print([manifest(spec)], output)


@waypoint.command()
@with_options(_name, _namespace, _for, _revision)
@click.option("--enroll-namespace", "enrols", is_flag=True, help="Have the namespace use it.")
@click.option("--overwrite", is_flag=True, help="Even if the namespace uses another one.")
@click.option("-w", "--wait", "waits", is_flag=True, help="Wait until it is ready.")
@with_options(_timeout, _where)
@click.pass_obj
def apply(name: str, /, own_name: str | None, mesh: "Mesh", **asked: Any) -> None:
    """Make a waypoint, or change it to be as asked for.

    In a folder its manifest is edited where it is, or written to a file of its own.
    """
    from xds_server.waypoints import operations
    from xds_server.waypoints.manifest import WaypointError, waypoint_spec

    namespace = _home(asked)
    try:
        spec = waypoint_spec(namespace, own_name or name, asked["traffic"], asked["revision"])
    except WaypointError as problem:
        raise click.ClickException(f"failed to create gateway: {problem}") from None
    enrolment = operations.Enrolment(asked["overwrite"]) if asked["enrols"] else None
    patience = operations.Patience(asked["timeout"]) if asked["waits"] else None
    _at(mesh, asked, lambda place: operations.apply(place, spec, enrolment, patience, click.echo))


@waypoint.command(short_help="Remove waypoints by name, all, or those of a revision.")
@click.argument("names", nargs=-1)
@with_options(_namespace, _of_revision, _where)
@click.option("--all", "everything", is_flag=True, help="All waypoints of the namespace.")
def delete(names: tuple[str, ...], everything: bool, mesh: "Mesh", **asked: Any) -> None:
    """Remove waypoints by name, all of a namespace, or those of a revision.

    Gateways that are no waypoints are never removed.
    """
    from xds_server.waypoints import operations

    namespace, revision = _home(asked), asked["revision"]
    in_bulk = everything or bool(revision)
    if in_bulk and names:
        raise click.UsageError("cannot specify waypoint names when deleting all waypoints")
    if not in_bulk and not names:
        raise click.UsageError(
            "must specify a waypoint name or delete all using --all "
            "or delete specific revision using --revision"
        )

    async def remove(place: "Place") -> None:
        chosen = await operations.names_of(place, namespace, revision) if in_bulk else names
        await operations.delete(place, namespace, chosen, click.echo)

    _at(mesh, asked, remove)


@waypoint.command(name="list")
@with_options(_namespace, _everywhere, _output, _where)
def list_waypoints(everywhere: bool, output: str, mesh: "Mesh", **asked: Any) -> None:
    """List waypoints.

    TRAFFIC TYPE is what is in effect: the waypoint's label, else its class's, else service.
    """
    from xds_server.waypoints import operations, table

    namespace = None if everywhere else _home(asked)
    found = _at(mesh, asked, lambda place: operations.waypoints(place, namespace))
    _show(found, output, lambda: table.list_table(found, with_namespace=everywhere))
    _report(mesh, asked)


@waypoint.command(short_help="Show whether waypoints are ready.")
@with_options(_namespace, _everywhere, _output)
@click.option(
    "-w/ ",
    "--wait/--no-wait",
    "waits",
    default=True,
    show_default="wait",
    help="Wait until all are ready.",
)
@with_options(_timeout, _where)
def status(everywhere: bool, output: str, waits: bool, mesh: "Mesh", **asked: Any) -> None:
    """Show whether waypoints are ready: what their Gateways' Programmed condition says.

    What is in a folder doesn't change by itself, so that there nothing is waited for.
    """
    from xds_server.waypoints import operations, table

    namespace = None if everywhere else _home(asked)
    patience = operations.Patience(asked["timeout"] if waits else 0.0)
    found, late = _at(
        mesh, asked, lambda place: operations.settled_waypoints(place, namespace, patience)
    )
    _show(found, output, lambda: table.status_table(found, with_namespace=everywhere))
    if late is not None and waits:
        raise click.ClickException(f"timed out while retrieving status for waypoint\t{late}")
    _report(mesh, asked)


def _home(asked: dict[str, Any]) -> str:
    """The namespace that is asked for, else that of the kubeconfig's context, else default."""
    if asked["namespace"] or asked["folder"] is not None:
        return asked["namespace"] or _DEFAULT_NAMESPACE
    from xds_server.sources.kubernetes.login import namespace_of

    return namespace_of(asked["kubeconfig"], asked["context"])


T = TypeVar("T")


def _at(
    mesh: "Mesh", asked: dict[str, Any], work: "Callable[[Place], Coroutine[Any, Any, T]]"
) -> T:
    """Do something in the folder or the cluster that is asked for. Raises ClickException."""
    import asyncio

    from xds_server.waypoints.manifest import WaypointError

    try:
        if asked["folder"] is not None:
            return asyncio.run(work(_folder(mesh, asked)))
        return asyncio.run(_at_cluster(asked["kubeconfig"], asked["context"], work))
    except WaypointError as problem:
        raise click.ClickException(str(problem)) from None


def _folder(mesh: "Mesh", asked: dict[str, Any]) -> "Folder":
    from xds_server.waypoints.folder import Folder

    return Folder(asked["folder"], mesh)


async def _at_cluster(
    kubeconfig: Path | None, context: str | None, work: "Callable[[Place], Coroutine[Any, Any, T]]"
) -> T:
    from xds_server.sources.kubernetes.login import choose_login
    from xds_server.sources.kubernetes.transport import Transport
    from xds_server.status.objects import Objects
    from xds_server.waypoints.cluster import Cluster

    objects = Objects(Transport(choose_login(kubeconfig, context)))
    await _log_in(objects)
    try:
        return await work(Cluster(objects))
    finally:
        await objects.close()


async def _log_in(objects: "Objects") -> None:
    from xds_server.sources.source import SourceError

    try:
        await objects.transport.log_in()
    except SourceError as problem:
        raise click.ClickException(str(problem)) from None


def _show(found: "list[Found]", output: str, as_table: Callable[[], str]) -> None:
    from xds_server.waypoints import table

    if output != "table":
        _print([table.document(one) for one in found], output)
    else:
        click.echo(as_table() if found else table.NOTHING)


def _print(documents: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        import json

        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    else:
        import yaml

        text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True)
        click.echo(text, nl=False)


def _report(mesh: "Mesh", asked: dict[str, Any]) -> None:
    """Say what in a folder could not be read; the exit code is 79 then."""
    problems = _folder(mesh, asked).load().problems if asked["folder"] is not None else ()
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        sys.exit(FOUND_PROBLEMS)
