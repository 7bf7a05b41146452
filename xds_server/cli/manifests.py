"""Manifests given to an offline command, compiled."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from translators import authorization, gateway_api
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.metadata import KubernetesObject
from translators.world import Change, Reader, World
from xds_server.cli.checking import manifest_check
from xds_server.cli.options import FOUND_PROBLEMS
from xds_server.sources.folder import load_folder, load_stream
from xds_server.sources.source import SourceProblem


@dataclass(frozen=True, slots=True)
class Manifests:
    """A compiled set of manifests, what they said, and what was wrong with them."""

    compiler: Compiler
    problems: tuple[SourceProblem, ...]
    objects: tuple[KubernetesObject, ...] = ()

    def reader(self) -> Reader:
        """A view of the objects, to be asked what they mean."""
        world = World((*gateway_api.INDEXES, *authorization.INDEXES))
        world.apply(Change(found.key, found) for found in self.objects)
        return Reader(world)

    def report(self) -> None:
        """Print the problems to standard error and end the command with 79 if there are any."""
        for problem in self.problems:
            click.echo(str(problem), err=True)
        if self.problems:
            sys.exit(FOUND_PROBLEMS)


def compile_manifests(path: Path, mesh: Mesh) -> Manifests:
    """Read a folder, a file, or ``-`` (standard input). Raises ClickException if it is missing."""
    check = manifest_check(lambda notice: click.echo(f"Notice: {notice}", err=True))
    if str(path) == "-":
        loaded = load_stream(sys.stdin.buffer.read(), check=check)
    elif path.exists():
        loaded = load_folder(path, check)
    else:
        raise click.ClickException(f"{path}: no such file or folder")
    if not loaded.objects and not loaded.problems:
        click.echo(f"Notice: there are no manifests in {path}", err=True)
    compiler = Compiler(mesh)
    compiler.apply(Change(found.key, found) for found in loaded.objects)
    return Manifests(compiler, tuple(loaded.problems), tuple(loaded.objects))


def chosen_waypoints(compiler: Compiler, name: str | None) -> tuple[WaypointName, ...]:
    """The waypoint of that name, or all. Raises ClickException or UsageError."""
    if name is None:
        if not compiler.waypoints():
            click.echo("Notice: there are no waypoints in these manifests", err=True)
        return compiler.waypoints()
    try:
        waypoint = WaypointName.parse(name)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    if not compiler.serves(waypoint):
        known = ", ".join(map(str, compiler.waypoints())) or "none"
        raise click.ClickException(f"there is no waypoint {waypoint}; there are: {known}")
    return (waypoint,)
