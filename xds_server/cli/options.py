"""Options that several commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from translators.ir.waypoint import Mesh

FOUND_PROBLEMS = 79
"""Exit code of a command that did its work and has something to report."""

F = TypeVar("F", bound=Callable[..., Any])


def with_options(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Adds options to a command, in the order in which ``--help`` is to list them."""

    def decorate(command: F) -> F:
        decorated: Any = command
        for option in reversed(options):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


_MESH_OPTIONS = (
    click.option(
        "--trust-domain",
        default="cluster.local",
        show_default=True,
        envvar="WAYPOST_TRUST_DOMAIN",
        help="The trust domain of all identities.",
    ),
    click.option(
        "--trust-domain-alias",
        multiple=True,
        envvar="WAYPOST_TRUST_DOMAIN_ALIASES",
        help="Another trust domain whose identities count as ours. Repeatable.",
    ),
    click.option(
        "--cluster-domain",
        default="cluster.local",
        show_default=True,
        envvar="WAYPOST_CLUSTER_DOMAIN",
        help="The DNS suffix of services.",
    ),
    click.option(
        "--root-namespace",
        default="istio-system",
        show_default=True,
        envvar="WAYPOST_ROOT_NAMESPACE",
        help="Where mesh-wide policies live.",
    ),
    click.option(
        "--require-grants/--no-require-grants",
        envvar="WAYPOST_REQUIRE_GRANTS",
        help="Ask for a ReferenceGrant where a route names a backend in another namespace.",
    ),
    click.option(
        "--mesh-config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="WAYPOST_MESH_CONFIG",
        help="A file with Istio's MeshConfig, or its ConfigMap. Other options go before it.",
    ),
    click.option(
        "--layered-authorization/--no-layered-authorization",
        envvar="WAYPOST_LAYERED_AUTHORIZATION",
        help="Enforce policies by selector and for namespaces at waypoints too, on tunnels.",
    ),
)


_MESH_FIELDS = {
    "layered_authorization": "layered_authorization",
    "require_grants": "requires_grants",
    "root_namespace": "root_namespace",
    "cluster_domain": "cluster_domain",
    "trust_domain_alias": "trust_domain_aliases",
    "trust_domain": "trust_domain",
}
"""The fields of a mesh by the names of their options."""


def mesh_options(command: F) -> F:
    """Add the options that describe a mesh, which the command gets as ``mesh``.

    What is given as an option, or else in the environment, goes before what the file says.
    """

    @wraps(command)
    def with_mesh(mesh_config: Path | None, **options: Any) -> Any:
        values = {field: options.pop(name) for name, field in _MESH_FIELDS.items()}
        context = click.get_current_context()
        given = {
            field: values[field]
            for name, field in _MESH_FIELDS.items()
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT
        }
        return command(mesh=_configured(mesh_config, given), **options)

    return with_options(*_MESH_OPTIONS)(with_mesh)  # type: ignore[return-value]


def _configured(path: Path | None, given: dict[str, Any]) -> "Mesh":
    from dataclasses import replace

    from translators.ir.waypoint import Mesh

    if path is None:
        return Mesh(**given)
    from xds_server.sources.mesh_config import MeshConfigError, load_mesh_config

    try:
        return replace(load_mesh_config(path, Mesh()), **given)
    except MeshConfigError as problem:
        raise click.ClickException(str(problem)) from None


manifests_option = click.option(
    "-f",
    "--filename",
    "manifests",
    required=True,
    type=click.Path(path_type=Path),
    help="A folder of manifests, a file, or - for standard input.",
)

text_or_json = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The format.",
)
