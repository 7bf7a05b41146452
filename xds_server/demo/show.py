"""The whole demo: set the stage, tell the story, strike the stage."""

import asyncio
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from xds_server.demo.report import heading, line
from xds_server.demo.stage import Stage, set_stage
from xds_server.demo.story import tell

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]


class Interrupted(Exception):
    """A signal ended the demo; everything it ran has been stopped. ``number`` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


async def show(envoy: Path, keep: bool, say: Say, colour: bool) -> bool:
    """Run the demo and say what happens; whether everything was as it should be.

    With ``keep`` everything goes on running afterwards, until a signal. Raises Interrupted,
    OSError or ChildFailed.
    """
    demo = asyncio.ensure_future(_show(envoy, keep, say, colour))
    received: list[int] = []

    def interrupt(number: int) -> None:
        received.append(number)
        demo.cancel()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await demo
    except asyncio.CancelledError:
        raise Interrupted(received[0]) from None


async def _show(envoy: Path, keep: bool, say: Say, colour: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="waypost-demo-") as folder:
        say("Starting a control plane, two stock Envoys and the pods of examples/bookinfo.\n")
        async with set_stage(envoy, Path(folder)) as stage:
            good = await _tell(stage, say, colour)
            if keep:
                say(_invitation(stage))
                await _until_signal()
    return good


async def _tell(stage: Stage, say: Say, colour: bool) -> bool:
    say(heading())
    rows = []
    async for row in tell(stage):
        rows.append(row)
        say(line(row, colour))
    good = all(row.ok for row in rows)
    if not good:
        say("".join(f"\n{child.name}:\n{child.tail()}\n" for child in stage.children))
    return good


async def _until_signal() -> None:
    """Wait for a signal of those that end the demo, and take it as the wish to end it well."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


def _invitation(stage: Stage) -> str:
    """What to try by hand."""
    return f"""
Everything is running. Try:

  curl -s {stage.reader}                           # as productpage
  curl -s -H 'end-user: jason' {stage.reader}      # as a tester
  curl -s {stage.stranger}                           # as details: 403
  curl -s '{stage.server_admin}/config_dump?waypoint=bookinfo/waypoint'
  curl -s {stage.server_admin}/syncz
  curl -s {stage.waypoint_admin}/clusters

Edit a file and ask again:

  {stage.bookinfo.route}
  {stage.bookinfo.policy}

Ctrl-C stops everything."""
