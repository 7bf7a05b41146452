"""``waypost authz``: what it says, its exit codes, and that a real Envoy says the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.support.trials import GATEWAY, Manifest, policy, service
from xds_server.cli.authz import authz

ALLOWED, NOT_ALLOWED, USAGE = 0, 79, 2
SERVICE = "web.demo:80"


def pod(account: str, *, captured: bool = True) -> Manifest:
    annotations = {"ambient.istio.io/redirection": "enabled"} if captured else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": account, "namespace": "demo", "annotations": annotations},
        "spec": {"serviceAccountName": account},
        "status": {"podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]},
    }


def entry_policy(name: str, rule: Manifest) -> Manifest:
    made = policy(name, "all", "DENY", rule)
    target = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "all"}
    return {**made, "spec": {**made["spec"], "targetRefs": [target]}}


MANIFESTS: list[Manifest] = [
    GATEWAY,
    service("web", ["10.96.0.1"], {"http": 80, "tcp": 90, "unnamed": 100}),
    pod("friend"),
    pod("bare", captured=False),
    policy(
        "readers",
        "web",
        "ALLOW",
        {
            "from": [{"source": {"principals": ["cluster.local/ns/demo/sa/friend"]}}],
            "to": [{"operation": {"methods": ["GET"]}}],
        },
        {"to": [{"operation": {"ports": ["8080"]}}]},
        {"when": [{"key": "request.auth.claims[group]", "values": ["staff"]}]},
    ),
    policy("no-admin", "web", "DENY", {"to": [{"operation": {"paths": ["/admin*"]}}]}),
    policy("nothing", "web", "DENY"),
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {
            "name": "all",
            "namespace": "demo",
            "labels": {"istio.io/use-waypoint": "waypoint"},
        },
        "spec": {
            "hosts": ["*.example.com", "one.example.com"],
            "resolution": "DYNAMIC_DNS",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        },
    },
    entry_policy("no-admin-outside", {"to": [{"operation": {"paths": ["/admin*"]}}]}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(MANIFESTS))
    return tmp_path


def run(folder: Path, *arguments: str, to: str = SERVICE, caller: str = "demo/friend") -> Result:
    command = ["check", "-f", str(folder), "--from", caller, "--to", to, *arguments]
    return CliRunner().invoke(authz, command)


def answer(folder: Path, *arguments: str, **named: str) -> Any:
    return json.loads(run(folder, "-o", "json", *arguments, **named).stdout)


def test_allowed_by_a_rule(folder: Path) -> None:
    result = run(folder, "--path", "/x")
    assert result.exit_code == ALLOWED, result.output
    assert "AuthorizationPolicy demo/readers spec.rules[0] allows it" in result.output
    assert "ns[demo]-policy[readers]-rule[0]" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--path", "/admin"],
        ["--path", "/x/..;/admin"],
        ["--method", "POST"],
        ["--path", "/x%2fy"],
        ["--host", "a,b"],
    ],
)
def test_refused(folder: Path, arguments: list[str]) -> None:
    result = run(folder, *arguments)
    assert result.exit_code == NOT_ALLOWED
    assert result.output.startswith("DENY ")


def test_each_rule_is_listed_with_what_decided_it(folder: Path) -> None:
    stages = answer(folder, "--method", "POST")["stages"]
    rows = {(row["rule"], row["result"], row["why"]) for row in stages[-1]["rules"]}
    assert rows == {
        ("demo/no-admin spec.rules[0]", "no match", "not path /admin*"),
        ("demo/readers spec.rules[0]", "no match", "not method GET"),
        ("demo/readers spec.rules[1]", "no match", "it can't apply here"),
        ("demo/readers spec.rules[2]", "no match", "not claim group staff"),
        ("demo/nothing", "no match", "it has no rules"),
    }


def test_claims(folder: Path) -> None:
    assert run(folder, "--claim", "group=staff", caller="demo/else").exit_code == ALLOWED
    listed = ("--claim", "group=a", "--claim", "group=staff")
    assert run(folder, *listed, caller="demo/else").exit_code == ALLOWED
    assert run(folder, "--claim", "group.x=staff", caller="demo/else").exit_code == NOT_ALLOWED


def test_a_token_that_is_refused_is_not_called_allowed(folder: Path) -> None:
    """Tokens are Envoy's to verify: what it says of one counts, and a note says how to ask."""
    demand = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "tokens", "namespace": "demo"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
            "jwtRules": [{"issuer": "https://issuer.example", "jwks": '{"keys": []}'}],
        },
    }
    (folder / "tokens.yaml").write_text(yaml.safe_dump(demand))
    result = run(folder, "--header", "authorization: Bearer x", "--against-envoy")
    assert "say by --claim what a valid one holds" in result.output
    assert "envoy   status 401: refused" in result.output
    assert result.exit_code == 1


def test_a_client_that_is_not_captured_never_meets_the_waypoint(folder: Path) -> None:
    result = run(folder, caller="demo/bare")
    assert result.exit_code == NOT_ALLOWED
    assert result.output.startswith("NOT DECIDED HERE")
    assert "no pod of demo/bare is captured" in result.output


def test_a_service_without_waypoint_is_not_decided_here(folder: Path) -> None:
    plain = service("plain", ["10.96.0.2"], {"http": 80})
    del plain["metadata"]["labels"]
    lost = service("lost", ["10.96.0.3"], {"http": 80})
    lost["metadata"]["labels"]["istio.io/use-waypoint"] = "missing"
    (folder / "more.yaml").write_text(yaml.safe_dump_all([plain, lost]))
    for name, why in (("plain", "asks for no waypoint"), ("lost", "is not ready")):
        result = run(folder, to=f"{name}.demo:80")
        assert (result.exit_code, result.output[:16]) == (NOT_ALLOWED, "NOT DECIDED HERE")
        assert why in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--path", "/x"],
        ["--path", "/admin"],
        ["--path", "/%61dmin;x"],
        ["--method", "DELETE"],
        ["--claim", "group=staff", "--method", "DELETE"],
        ["--path", "/x%2fy"],
        ["--host", "a,b"],
    ],
)
def test_envoy_agrees(folder: Path, arguments: list[str]) -> None:
    result = run(folder, *arguments, "--against-envoy")
    assert result.exit_code in (ALLOWED, NOT_ALLOWED), result.output
    refused = "refused" if result.exit_code else "allowed"
    assert next(line for line in result.output.splitlines() if line.startswith("envoy")).endswith(
        refused
    )


@pytest.mark.parametrize(
    ("to", "arguments", "code", "where"),
    [
        ("web.demo:90", [], NOT_ALLOWED, "on the tunnel"),
        ("web.demo:100", [], ALLOWED, "on the request"),
        ("web.demo:100", ["--bytes"], NOT_ALLOWED, "carries no HTTP"),
        ("vault.demo:90", [], ALLOWED, "on the tunnel"),
        ("vault.demo:100", ["--bytes"], ALLOWED, "carries no HTTP"),
        ("vault.demo:443", ["--sni", "Open.example"], ALLOWED, "on the TLS handshake"),
        ("vault.demo:443", ["--sni", "shut.example"], NOT_ALLOWED, "on the TLS handshake"),
        ("vault.demo:443", [], ALLOWED, "on the TLS handshake"),
    ],
)
def test_envoy_agrees_on_connections(
    folder: Path, to: str, arguments: list[str], code: int, where: str
) -> None:
    vault = service("vault", ["10.96.0.9"], {"tcp": 90, "any": 100, "tls": 443})
    friends = {"from": [{"source": {"principals": ["cluster.local/ns/demo/sa/friend"]}}]}
    shut = {"when": [{"key": "connection.sni", "values": ["shut.example"]}]}
    only = {"to": [{"operation": {"ports": ["443"]}}]}
    manifests = [
        vault,
        policy("vault-friends", "vault", "ALLOW", friends),
        policy("vault-shut", "vault", "DENY", {**shut, **only}),
    ]
    (folder / "vault.yaml").write_text(yaml.safe_dump_all(manifests))
    result = run(folder, *arguments, "--against-envoy", to=to)
    assert result.exit_code == code, result.output
    assert where in result.output


def test_bytes_do_not_get_into_a_port_for_requests(folder: Path) -> None:
    assert run(folder, "--bytes").exit_code == USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "web:80"],
        ["--to", "web.demo"],
        ["--from", "friend"],
        ["--from-ip", "nowhere"],
        ["--header", "x-a"],
        ["--header", "x-a: b\r\nx-c: d"],
        ["--claim", "group"],
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str]) -> None:
    assert run(folder, *arguments).exit_code == USAGE


def test_matrix(folder: Path) -> None:
    result = CliRunner().invoke(authz, ["matrix", "-f", str(folder), "--to", SERVICE])
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines()[1:5]]
    assert result.output.splitlines()[0].split() == ["CALLER", "(other", "paths)", "/admin*"]
    assert rows[:3] == [
        ["demo/bare", "-", "-"],
        ["demo/friend", "GET", "-"],
        ["(anyone", "else)", "-", "-"],
    ]
    assert "ask for tokens" in result.output


@pytest.mark.parametrize(
    ("path", "code"), [("/", ALLOWED), ("/admin/1", NOT_ALLOWED)], ids=["allowed", "denied"]
)
def test_a_host_of_a_service_entry_is_asked_about_as_a_service_is(
    folder: Path, path: str, code: int
) -> None:
    for host in ("deep.in.example.com", "one.example.com"):
        result = run(folder, "--path", path, "--against-envoy", to=f"{host}:80")
        assert result.exit_code == code, result.output
        assert f"on {host}:80" in result.output
        assert "no-admin-outside" in result.output
    result = run(folder, to="elsewhere.example.org:80")
    assert "there is no ServiceEntry with the host elsewhere.example.org" in result.output
