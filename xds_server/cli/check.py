"""``waypost check``."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xds_server.cli.options import FOUND_PROBLEMS, text_or_json

if TYPE_CHECKING:
    from xds_server.preflight import Asked, Section
    from xds_server.preflight.report import Check
    from xds_server.sources.kubernetes.login import Login

_MARKS = {"success": "√", "warning": "‼", "error": "×"}
_PAUSE_S = 2.0


@click.command()
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="How to reach the cluster; else the pod's service account, or the usual kubeconfig.",
)
@click.option("--context", help="The context of the kubeconfig.")
@click.option(
    "-n",
    "--namespace",
    default="waypost-system",
    show_default=True,
    envvar="WAYPOST_NAMESPACE",
    help="Where the control plane is, or will be.",
)
@click.option("--name", default="waypost", show_default=True, help="The name of the release.")
@click.option(
    "--account",
    metavar="NAMESPACE/NAME",
    help="Whose permissions to check, or - for those of whoever asks. By default those of the"
    " control plane's service account, unless this is a pod.",
)
@click.option(
    "--ca-secret",
    default="waypost-ca",
    show_default=True,
    help="The Secret with the certificate authority.",
)
@click.option(
    "--ca-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="WAYPOST_CA_DIR",
    help="The folder with the certificate authority, in place of the Secret.",
)
@click.option("--pre", is_flag=True, help="Before the installation: leave out what it brings.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Ask again for so long, until there are no errors.",
)
@text_or_json
def check(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    name: str,
    account: str | None,
    ca_secret: str,
    ca_dir: Path | None,
    pre: bool,
    wait: float,
    output: str,
) -> None:
    """Check whether a cluster is fit for waypost, and whether waypost is well in it.

    Each failure comes with a hint. The exit code is 79 if there are errors; warnings are none.
    """
    from xds_server.preflight import Asked
    from xds_server.preflight.report import Outcome, worst
    from xds_server.sources.kubernetes.login import choose_login

    login = choose_login(kubeconfig, context)
    whose = _account(account, f"{namespace}/{name}", is_chosen=bool(kubeconfig or context))
    asked = Asked(namespace, name, whose, ca_secret, ca_dir, pre)
    sections = _examine(login, asked, wait)
    click.echo(_to_json(sections) if output == "json" else _to_text(sections), nl=False)
    if worst(sections) is Outcome.ERROR:
        sys.exit(FOUND_PROBLEMS)


def _account(given: str | None, installed: str, *, is_chosen: bool) -> str:
    if given == "-":
        return ""
    if given is not None and given.count("/") != 1:
        raise click.BadParameter("is not NAMESPACE/NAME", param_hint="'--account'")
    is_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not is_chosen
    return given or ("" if is_pod else installed)


def _examine(login: "Login", asked: "Asked", wait: float) -> "tuple[Section, ...]":
    import asyncio

    from xds_server.sources.source import SourceError

    try:
        return asyncio.run(_until_well(login, asked, wait))
    except SourceError as problem:
        raise click.ClickException(str(problem)) from None


async def _until_well(login: "Login", asked: "Asked", wait: float) -> "tuple[Section, ...]":
    import asyncio
    import time

    from xds_server.preflight import examine
    from xds_server.preflight.report import Outcome, worst
    from xds_server.sources.kubernetes.transport import Transport
    from xds_server.status import Objects

    objects = Objects(Transport(login))
    until = time.monotonic() + wait
    try:
        await objects.transport.log_in()
        while True:
            sections = await examine(objects, asked)
            if worst(sections) is not Outcome.ERROR or time.monotonic() + _PAUSE_S > until:
                return sections
            await asyncio.sleep(_PAUSE_S)
    finally:
        await objects.close()


def _to_text(sections: "Iterable[Section]") -> str:
    from xds_server.preflight.report import worst

    sections = tuple(sections)
    lines = [line for section in sections for line in _section_lines(section)]
    return "\n".join([*lines, f"Status check results are {_MARKS[worst(sections)]}", ""])


def _section_lines(section: "Section") -> list[str]:
    lines = [section.name, "-" * len(section.name)]
    for each in section.checks:
        lines.append(f"{_MARKS[each.outcome]} {each.description}")
        lines += [f"    {each.reason}"] if each.reason else []
        lines += [f"    hint: {each.hint}"] if each.hint else []
    return [*lines, ""]


def _to_json(sections: "Iterable[Section]") -> str:
    from xds_server.preflight.report import Outcome, worst

    sections = tuple(sections)
    report = {
        "success": worst(sections) is not Outcome.ERROR,
        "categories": [
            {"categoryName": section.name, "checks": [_describe(each) for each in section.checks]}
            for section in sections
        ],
    }
    return json.dumps(report, indent=2) + "\n"


def _describe(each: "Check") -> dict[str, str]:
    told = {"description": each.description, "result": str(each.outcome)}
    told |= {"error": each.reason} if each.reason else {}
    return told | ({"hint": each.hint} if each.hint else {})
