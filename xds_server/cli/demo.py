"""``waypost demo``."""

import click


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running, and say what to try.")
@click.pass_context
def demo(context: click.Context, keep: bool) -> None:
    """Run a waypoint with real Envoys and real traffic on this machine.

    Needs no root, no cluster and no network but loopback. The exit code is 0 only if everything
    went as expected.
    """
    import asyncio
    import sys

    from xds_server.cli.envoy_binary import find_envoy
    from xds_server.demo.child import ChildFailed
    from xds_server.demo.report import wants_colour
    from xds_server.demo.show import Interrupted, show

    envoy, colour = find_envoy(), wants_colour(sys.stdout.isatty())
    try:
        good = asyncio.run(show(envoy, keep, _say, colour))
    except Interrupted as interruption:
        click.echo("Interrupted; everything has been stopped.", err=True)
        context.exit(128 + interruption.number)
    except (ChildFailed, OSError) as problem:
        raise click.ClickException(str(problem)) from None
    context.exit(0 if good else 1)


def _say(text: str) -> None:
    click.echo(text)
