"""``python -m xds_server.demo NAME VERSION IP PORT`` is one echo application, until a signal."""

import asyncio
import signal

import click

from xds_server.demo.echo import Echo, EchoApp


@click.command()
@click.argument("name")
@click.argument("version")
@click.argument("ip")
@click.argument("port", type=click.IntRange(1, 65535))
def echo(name: str, version: str, ip: str, port: int) -> None:
    """Answer every HTTP request with what was received."""
    try:
        asyncio.run(_serve(EchoApp(name, version, ip, http_ports=(port,))))
    except OSError as problem:
        raise click.ClickException(str(problem)) from None


async def _serve(app: EchoApp) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with Echo(app):
        await ended.wait()


echo(prog_name="python -m xds_server.demo")
