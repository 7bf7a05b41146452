"""The command ``waypost``. Each command's module is imported only when it is called."""

import gc
from importlib import import_module

import click

_COMMANDS = {
    "authz": "Tell who may do what, and why, offline.",
    "bench": "Make meshes of any size to measure with.",
    "bootstrap": "Print the Envoy bootstrap of a waypoint.",
    "ca": "Work with the built-in certificate authority.",
    "check": "Check a cluster and the control plane in it; say what to do.",
    "demo": "Run a waypoint with real Envoys and real traffic on this machine.",
    "describe": "Tell which waypoint serves what, and what passes it by, offline.",
    "features": "List what is supported.",
    "serve": "Serve Envoys their configuration.",
    "status": "Print the status that manifests would get, offline.",
    "translate": "Print what Envoy would get for manifests, offline.",
    "validate": "Check manifests as an API server would, offline.",
    "waypoint": "Make, list and remove waypoints, in a cluster or in a folder.",
}
"""Each name is also that of a module here which holds the command under the same name."""


class _LazyGroup(click.Group):
    """A group whose help needs no command's module, so that it is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


_EXAMPLES = """\b
Examples:
  waypost demo
  waypost validate -f manifests/
  waypost status -f manifests/ --all
  waypost describe service reviews -n bookinfo -f manifests/
  waypost authz check -f manifests/ --from shop/web --to reviews.bookinfo:9080
  waypost serve --manifests manifests/
"""

_THRESHOLD = 50_000
"""Collect so seldom: what is imported stays, and to look at it takes a tenth of a start."""

_EXIT_CODES = "Exit codes: 0 fine, 1 failed, 2 wrong usage, 79 done and problems found."


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{_EXAMPLES}\n{_EXIT_CODES}",
)
@click.version_option(package_name="waypost", prog_name="waypost", message="%(prog)s %(version)s")
def main() -> None:
    """Run stock Envoys as Istio-compatible waypoints, configured from Kubernetes manifests."""
    gc.set_threshold(_THRESHOLD)
