"""Options of ``waypost serve`` that say where its objects come from."""

from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xds_server.cli.options import F, with_options

if TYPE_CHECKING:
    from xds_server.sources.kubernetes.login import Login
    from xds_server.sources.source import Source

_OPTIONS = (
    click.option(
        "--manifests",
        envvar="WAYPOST_MANIFESTS",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The folder of manifests to serve and to watch.",
    ),
    click.option(
        "--kubernetes",
        is_flag=True,
        envvar="WAYPOST_KUBERNETES",
        help="Serve and follow the objects of a cluster.",
    ),
    click.option(
        "--kubeconfig",
        envvar="WAYPOST_KUBECONFIG",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="How to reach the cluster; else the pod's service account, or the usual kubeconfig.",
    ),
    click.option("--context", envvar="WAYPOST_CONTEXT", help="The context of the kubeconfig."),
)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """A folder of manifests, or else a cluster."""

    manifests: Path | None
    kubeconfig: Path | None
    context: str | None

    @property
    def is_cluster(self) -> bool:
        """Whether the objects are those of a cluster."""
        return self.manifests is None

    def open(self) -> "tuple[Source, Login | None]":
        """The source, and the way to the cluster if it is one. Raises SourceError."""
        if self.manifests is not None:
            return folder_source(self.manifests), None
        from xds_server.sources.kubernetes import KubernetesSource
        from xds_server.sources.kubernetes.login import choose_login

        login = choose_login(self.kubeconfig, self.context)
        return KubernetesSource(login), login


def source_options(command: F) -> F:
    """Add the options, which the command gets as ``source``. Raises UsageError unless one is."""

    @wraps(command)
    def with_source(
        manifests: Path | None,
        kubernetes: bool,
        kubeconfig: Path | None,
        context: str | None,
        **others: Any,
    ) -> Any:
        if kubernetes == (manifests is not None):
            raise click.UsageError("give either --manifests DIR or --kubernetes")
        return command(source=SourceOptions(manifests, kubeconfig, context), **others)

    return with_options(*_OPTIONS)(with_source)  # type: ignore[return-value]


def folder_source(path: Path) -> "Source":
    """A folder whose manifests are also checked against the schemas of their kinds, to warn."""
    import structlog

    from xds_server.cli.checking import manifest_check
    from xds_server.sources.files import FileSource

    return FileSource(path, check=manifest_check(structlog.get_logger(__name__).warning))
