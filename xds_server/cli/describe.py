"""``waypost describe``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xds_server.cli.options import manifests_option, mesh_options, text_or_json

if TYPE_CHECKING:
    from translators.ir.waypoint import Mesh
    from translators.resources.core import Service
    from translators.resources.metadata import KubernetesObject
    from translators.resources.serviceentry import ServiceEntry
    from xds_server.cli.describe_text import Facts
    from xds_server.cli.manifests import Manifests

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound="KubernetesObject")


@click.group()
def describe() -> None:
    """Tell which waypoint serves what, what it does there, and what passes it by, offline."""


def _common(command: F) -> F:
    return click.argument("name")(manifests_option(text_or_json(mesh_options(command))))


_namespace = click.option(
    "-n", "--namespace", default="default", show_default=True, help="Where it is."
)


@describe.command(short_help="Its waypoint, routes, policies, and the ways past it.")
@_common
@_namespace
def service(name: str, namespace: str, manifests: Path, output: str, mesh: "Mesh") -> None:
    """Describe a Service: its waypoint, routes and policies, and the ways past the waypoint."""
    from translators.resources.core import Service

    _tell_of_host(Service, (namespace, name), manifests, output, mesh)


@describe.command(short_help="The same of a ServiceEntry.")
@_common
@_namespace
def serviceentry(name: str, namespace: str, manifests: Path, output: str, mesh: "Mesh") -> None:
    """Describe a ServiceEntry, just as a Service."""
    from translators.resources.serviceentry import ServiceEntry

    _tell_of_host(ServiceEntry, (namespace, name), manifests, output, mesh)


@describe.command(short_help="Through which waypoints it is reached.")
@_common
@_namespace
def pod(name: str, namespace: str, manifests: Path, output: str, mesh: "Mesh") -> None:
    """Describe a Pod: through which waypoints it is reached, and how without one."""
    from translators.resources.core import Pod
    from xds_server.cli.describe_facts import pod_facts
    from xds_server.cli.manifests import compile_manifests

    compiled = compile_manifests(manifests, mesh)
    _tell(compiled, pod_facts(compiled, mesh, _find(compiled, Pod, namespace, name)), output)


@describe.command(name="namespace", short_help="Its waypoints, and who serves its services.")
@_common
def namespace_(name: str, manifests: Path, output: str, mesh: "Mesh") -> None:
    """Describe a Namespace: its waypoints, and which of them serves each of its services."""
    from translators.resources.core import Namespace
    from xds_server.cli.describe_facts import namespace_facts
    from xds_server.cli.manifests import compile_manifests

    compiled = compile_manifests(manifests, mesh)
    _tell(compiled, namespace_facts(compiled, _find(compiled, Namespace, "", name)), output)


def _tell_of_host(
    kind: "type[Service | ServiceEntry]",
    key: tuple[str, str],
    manifests: Path,
    output: str,
    mesh: "Mesh",
) -> None:
    from xds_server.cli.describe_facts import service_facts
    from xds_server.cli.manifests import compile_manifests

    compiled = compile_manifests(manifests, mesh)
    _tell(compiled, service_facts(compiled, mesh, _find(compiled, kind, *key)), output)


def _find(compiled: "Manifests", kind: type[T], namespace: str, name: str) -> T:
    """The object of that name. Raises ClickException."""
    found = compiled.reader().get(kind, namespace, name)
    if found is None:
        for problem in compiled.problems:
            click.echo(str(problem), err=True)
        owner = f"{namespace}/{name}" if namespace else name
        hint = _elsewhere(compiled, kind, name) if namespace else ""
        raise click.ClickException(f"there is no {kind.kind} {owner}{hint}")
    return found


def _elsewhere(compiled: "Manifests", kind: type[T], name: str) -> str:
    """Where an object of that name is, as the end of a sentence."""
    same = (found.meta for found in compiled.objects if isinstance(found, kind))
    homes = sorted(meta.namespace for meta in same if meta.name == name)
    return f"; there is one in {', '.join(homes)}: give -n" if homes else ""


def _tell(compiled: "Manifests", facts: "Facts", output: str) -> None:
    from xds_server.cli.describe_text import as_json, as_text

    click.echo(as_json(facts) if output == "json" else as_text(facts))
    compiled.report()
