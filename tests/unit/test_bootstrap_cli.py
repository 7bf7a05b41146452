import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from translators.ir.waypoint import WaypointName
from translators.wire.node import Node
from xds_server.cli.bootstrap import bootstrap
from xds_server.identity.peer import claimed_bind, claimed_node_id, claimed_waypoint


def run(*options: str) -> Result:
    return CliRunner().invoke(bootstrap, ["--waypoint", "shop/gate", *options])


def printed(*options: str) -> Any:
    result = run(*options)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def control_plane(printed: Any) -> Any:
    [cluster] = printed["staticResources"]["clusters"]
    [group] = cluster["loadAssignment"]["endpoints"]
    return group["lbEndpoints"][0]["endpoint"]["address"]


def test_the_server_takes_the_envoy_for_what_it_shall_be() -> None:
    said = printed("--bind", "127.9.9.9:15008")["node"]
    node = Node(id=said["id"], cluster=said["cluster"], metadata=said["metadata"])
    assert claimed_waypoint(node) == WaypointName("shop", "gate")
    assert claimed_bind(node) == "127.9.9.9:15008"
    assert claimed_node_id(node) == "waypoint~127.9.9.9~gate.shop~shop.svc.cluster.local"


def test_addresses_have_the_usual_ports() -> None:
    said = printed()
    assert said["node"]["metadata"]["WAYPOST_BIND"] == "0.0.0.0:15008"
    assert said["admin"]["address"]["socketAddress"] == {"address": "127.0.0.1", "portValue": 15000}
    assert control_plane(said) == {"socketAddress": {"address": "127.0.0.1", "portValue": 15010}}


def test_addresses_can_be_given() -> None:
    said = printed("--xds", "unix:/run/xds.sock", "--admin", "[::1]:9", "--bind", "[::1]:10")
    assert said["node"]["metadata"]["WAYPOST_BIND"] == "[::1]:10"
    assert said["admin"]["address"]["socketAddress"] == {"address": "::1", "portValue": 9}
    assert control_plane(said) == {"pipe": {"path": "/run/xds.sock"}}


def test_a_stream_that_has_ended_is_opened_again_within_ten_seconds() -> None:
    [service] = printed()["dynamicResources"]["adsConfig"]["grpcServices"]
    pauses = service["envoyGrpc"]["retryPolicy"]["retryBackOff"]
    assert pauses == {"baseInterval": "0.500s", "maxInterval": "10s"}


@pytest.mark.parametrize(
    "options",
    [
        ("--waypoint", "gate"),
        ("--waypoint", "a/b/c"),
        ("--bind", "localhost:15008"),
        ("--bind", "15008"),
        ("--bind", "127.0.0.1:65536"),
        ("--admin", "localhost:15000"),
        ("--xds", "15010"),
        ("--xds", "127.0.0.1:x"),
        ("--xds-roots", "roots.pem"),
        ("--xds-token", "token"),
        ("--xds-roots", "roots.pem", "--xds-token", "token"),
        ("--xds-roots", "roots.pem", "--xds-certificate", "chain.pem", "--out", "/nowhere"),
        (
            *("--xds-roots", "roots.pem", "--xds-certificate", "a/chain.pem"),
            *("--xds-key", "b/key.pem", "--out", "/nowhere"),
        ),
        ("--xds", "unix:/x", "--xds-roots", "r.pem", "--xds-token", "t", "--out", "/nowhere"),
        ("--mount-path", "/etc/waypost"),
    ],
)
def test_nonsense_is_a_usage_error(options: tuple[str, ...]) -> None:
    result = run(*options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


def written(folder: Path, *options: str) -> dict[str, Any]:
    result = run("--out", str(folder), *options)
    assert result.exit_code == 0, result.output
    return {file.name: json.loads(file.read_text()) for file in folder.iterdir()}


SECURE = ("--xds", "waypost.mesh.svc:15012", "--xds-roots", "/run/roots/root-cert.pem")


def test_a_token_is_sent_to_a_server_that_is_verified(tmp_path: Path) -> None:
    options = (*SECURE, "--xds-token", "/run/tokens/waypost", "--mount-path", "/etc/waypost")
    found = written(tmp_path / "new", *options)
    assert set(found) == {"envoy.json", "xds-roots.json", "xds-token.json"}
    [cluster] = found["envoy.json"]["staticResources"]["clusters"]
    tls = cluster["transportSocket"]["typedConfig"]
    assert tls["sni"] == "waypost.mesh.svc"
    context = tls["commonTlsContext"]["combinedValidationContext"]
    assert context["defaultValidationContext"]["matchTypedSubjectAltNames"] == [
        {"sanType": "DNS", "matcher": {"exact": "waypost.mesh.svc"}}
    ]
    assert "/etc/waypost/xds-roots.json" in json.dumps(context)
    assert "/etc/waypost/xds-token.json" in json.dumps(cluster["typedExtensionProtocolOptions"])
    assert "/run/tokens/waypost" in json.dumps(found["xds-token.json"])
    assert "/run/roots/root-cert.pem" in json.dumps(found["xds-roots.json"])


def test_a_certificate_can_be_shown_instead(tmp_path: Path) -> None:
    shown = ("--xds-certificate", "/run/svid/chain.pem", "--xds-key", "/run/svid/key.pem")
    found = written(tmp_path, *SECURE, *shown, "--xds-name", "127.0.0.1")
    assert set(found) == {"envoy.json", "xds-roots.json", "xds-certificate.json"}
    [cluster] = found["envoy.json"]["staticResources"]["clusters"]
    tls = cluster["transportSocket"]["typedConfig"]
    assert "sni" not in tls
    assert '"IP_ADDRESS"' in json.dumps(tls)
    assert f"{tmp_path}/xds-certificate.json" in json.dumps(tls)


def test_a_plain_bootstrap_can_be_written_too(tmp_path: Path) -> None:
    assert written(tmp_path) == {"envoy.json": printed()}
