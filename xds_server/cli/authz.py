"""``waypost authz``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xds_server.cli.options import FOUND_PROBLEMS, manifests_option, mesh_options

if TYPE_CHECKING:
    from translators.authorization.enforcement import Enforcement
    from translators.authorization.request import Call, Refusal
    from translators.ir.waypoint import Mesh
    from xds_server.cli.manifests import Manifests

_NOWHERE = "192.0.2.1"  # an address for documentation (RFC 5737): no policy names it by chance


@click.group()
def authz() -> None:
    """Tell who may do what, and why, offline."""


_to_option = click.option(
    "--to", required=True, metavar="SERVICE.NAMESPACE:PORT", help="What is called."
)


@authz.command(short_help="Decide on one request, and show each rule on the way.")
@manifests_option
@click.option("--from", "caller", required=True, metavar="NAMESPACE/ACCOUNT", help="Who calls.")
@click.option("--from-ip", help="From where. [default: the address of a pod of the caller]")
@_to_option
@click.option("--method", default="GET", show_default=True, help="The request's method.")
@click.option("--path", default="/", show_default=True, help="The request's path, as it is sent.")
@click.option("--host", help="The request's host. [default: the service's name]")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Repeatable.")
@click.option(
    "--claim", "claims", multiple=True, metavar="KEY=VALUE", help="Of a verified token. Repeatable."
)
@click.option(
    "--sni", default="", help="The server name of a TLS handshake, where TLS is declared."
)
@click.option("--bytes", "opaque", is_flag=True, help="A connection that carries no HTTP.")
@click.option("--against-envoy", is_flag=True, help="Ask a real Envoy too; 1 if it disagrees.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="The format.",
)
@mesh_options
def check(mesh: "Mesh", manifests: Path, output: str, against_envoy: bool, **asked: Any) -> None:
    """Decide on one request or connection, and show each policy and rule on the way.

    A port that declares TCP or TLS is connected to, and one that declares nothing with --bytes.

    The exit code is 0 if the waypoint allows the request, and 79 if it does not, or if the
    decision is not the waypoint's.
    """
    from translators.authorization.enforcement import Verdict, judge
    from xds_server.cli import authz_text
    from xds_server.cli.manifests import compile_manifests

    compiled = compile_manifests(manifests, mesh)
    for problem in compiled.problems:
        click.echo(str(problem), err=True)
    found = _find(compiled, mesh, asked["to"])
    call, refusal = _read_call(compiled, mesh, found, asked)
    bypass = _bypass(compiled, found, asked["caller"])
    verdict = judge(found, call)
    if refusal is not None and call.http is not None:
        verdict = Verdict(allowed=False, stages=(), refusal=refusal)
    heard = _hear(compiled, mesh, found, call, asked) if against_envoy else None
    show = authz_text.as_json if output == "json" else authz_text.as_table
    click.echo(show(found, call, verdict, bypass, heard, asked))
    if heard is not None and heard.allowed != verdict.allowed:
        raise click.ClickException(f"Envoy disagrees: it answered {heard.text}")
    decides = found.waypoint is not None and bypass is None
    sys.exit(0 if verdict.allowed and decides else FOUND_PROBLEMS)


@authz.command(short_help="Print who may call which path, by which methods.")
@manifests_option
@_to_option
@mesh_options
def matrix(mesh: "Mesh", manifests: Path, to: str) -> None:
    """Print who may call which path of a service port, by which methods.

    Requests have no headers of their own, no token, and come from an address that no policy names.
    """
    from xds_server.cli import authz_matrix
    from xds_server.cli.manifests import compile_manifests

    compiled = compile_manifests(manifests, mesh)
    found = _find(compiled, mesh, to)
    click.echo(authz_matrix.matrix_table(found, mesh, _pods(compiled), _NOWHERE))
    compiled.report()


def _find(compiled: "Manifests", mesh: "Mesh", to: str) -> "Enforcement":
    """The service port of that name. Raises UsageError or ClickException."""
    from translators.authorization.enforcement import find_enforcement
    from translators.gateway_api.lookup import find_entry, find_service

    host, _, port = to.rpartition(":")
    if not (host.count(".") and port.isascii() and port.isdigit()):
        raise click.UsageError(f"--to {to!r} is not of the form service.namespace:port")
    reader, number = compiled.reader(), int(port)
    service = find_service(reader, mesh, host)
    entry = find_entry(reader, host, number) if service is None else None
    served, name = service or entry, "" if service else host
    if served is None:
        raise click.ClickException(_missing(host, mesh))
    found = find_enforcement(reader, mesh, served, number, name)
    if found is None:
        what = f"{served.kind} {served.meta.namespace}/{served.meta.name}"
        ports = ", ".join(str(each.port) for each in served.ports) or "none"
        raise click.ClickException(f"{what} has no TCP port {port}; its ports: {ports}")
    return found


def _missing(host: str, mesh: "Mesh") -> str:
    name, _, namespace = host.removesuffix(f".svc.{mesh.cluster_domain}").partition(".")
    if "." in namespace:
        return f"there is no ServiceEntry with the host {host}"
    return f"there is no Service {namespace}/{name}"


def _read_call(
    compiled: "Manifests", mesh: "Mesh", found: "Enforcement", asked: dict[str, Any]
) -> "tuple[Call, Refusal | None]":
    """The call, and what Envoy has against it before any policy. Raises UsageError."""
    from translators.authorization.request import Call, HttpHead, Refusal, read_path
    from xds_server.identity.spiffe import SpiffeId

    try:
        who = SpiffeId(
            mesh.trust_domain, *_pair(asked["caller"], "/", "--from", "namespace/account")
        )
    except ValueError as problem:
        raise click.UsageError(f"--from: {problem}") from None
    path = read_path(asked["path"])
    refusal = path if isinstance(path, Refusal) else None
    asked["host"] = asked["host"] or found.host
    asked["from_ip"] = _address(asked["from_ip"] or _home(compiled, asked["caller"]))
    headers = tuple((name.lower(), value) for name, value in _headers(asked))
    head = HttpHead(asked["method"], asked["host"], str(path), headers, _claims(asked))
    to = found.addresses[0] if found.addresses else _NOWHERE
    http = head if found.protocol.speaks_http and not asked["opaque"] else None
    if asked["opaque"] and not found.protocol.forwards_bytes:
        raise click.UsageError(f"--bytes: port {found.port} takes nothing but HTTP")
    sni = asked["sni"].lower() if found.protocol == "tls" else ""
    return Call(who.uri, asked["from_ip"], to, found.port, sni, http), refusal


def _bypass(compiled: "Manifests", found: "Enforcement", caller: str) -> str | None:
    from translators.authorization.enforcement import bypass_of

    return bypass_of(caller, _pods(compiled), found)


def _hear(
    compiled: "Manifests",
    mesh: "Mesh",
    found: "Enforcement",
    call: "Call",
    asked: dict[str, Any],
) -> Any:
    """What a real Envoy does with the request. Raises ClickException if it can't be asked."""
    from xds_server.cli import authz_trial
    from xds_server.cli.envoy_binary import find_envoy
    from xds_server.demo.child import ChildFailed

    if found.waypoint is None:
        raise click.ClickException("no waypoint decides: there is no Envoy to ask")
    resources = compiled.compiler.resources(found.waypoint).values()
    spoken = authz_trial.Spoken(
        asked["method"], asked["path"], asked["host"], _headers(asked), _claims(asked)
    )
    data = spoken.written() if call.http else authz_trial.opening(found.protocol == "tls", call)
    try:
        return authz_trial.hear(find_envoy(), resources, mesh, call, data)
    except (ChildFailed, OSError, TimeoutError, ValueError) as problem:
        raise click.ClickException(f"asking Envoy failed: {problem}") from None


def _pods(compiled: "Manifests") -> Any:
    from translators.resources.core import Pod

    return [each for each in compiled.objects if isinstance(each, Pod)]


def _home(compiled: "Manifests", caller: str) -> str:
    """The address of a pod that runs as the caller, if there is one."""
    owned = (
        pod.ips[0]
        for pod in _pods(compiled)
        if pod.ips and f"{pod.meta.namespace}/{pod.service_account}" == caller
    )
    return next(owned, _NOWHERE)


def _address(text: str) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(text))
    except ValueError:
        raise click.UsageError(f"--from-ip {text!r} is not an IP address") from None


def _headers(asked: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    pairs = (_pair(text, ":", "--header", "name:value") for text in asked["headers"])
    return tuple((name.strip(), value.strip()) for name, value in pairs)


def _claims(asked: dict[str, Any]) -> dict[str, Any]:
    """Claims by their keys; a key with dots leads into claims, one that is repeated is a list."""
    claims: dict[str, Any] = {}
    for text in asked["claims"]:
        key, value = _pair(text, "=", "--claim", "key=value")
        *path, last = key.split(".")
        inner = claims
        for part in path:
            inner = inner.setdefault(part, {})
        before = inner.get(last)
        more = [*before, value] if isinstance(before, list) else [before, value]
        inner[last] = value if before is None else more
    return claims


def _pair(text: str, separator: str, option: str, form: str) -> tuple[str, str]:
    before, found, after = text.partition(separator)
    if not found or not before or not text.isprintable():
        raise click.UsageError(f"{option} {text!r} is not of the form {form}")
    return before, after
