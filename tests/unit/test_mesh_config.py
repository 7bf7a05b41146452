"""The mesh's configuration: Istio's fields, our own, and what is wrong with them."""

from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from translators.ir.deployment import DeploymentFacts
from translators.ir.external_authorization import AuthzProvider, CheckProtocol, RequestBody
from translators.ir.waypoint import Mesh
from translators.meshconfig import read_mesh_config
from xds_server.cli.options import mesh_options
from xds_server.sources.mesh_config import MeshConfigError, load_mesh_config

TEXT = """
trustDomain: corp.example
trustDomainAliases: [old.example]
rootNamespace: mesh
accessLogFile: /dev/stdout
extensionProviders:
- name: tracing
  zipkin: {service: zipkin.istio-system.svc.cluster.local, port: 9411}
- name: opa
  envoyExtAuthzGrpc:
    service: auth/opa.auth.svc.cluster.local
    port: 9191
    timeout: 500ms
    failOpen: true
    statusOnError: "503"
    includeRequestBodyInCheck: {maxRequestBytes: 4096, allowPartialMessage: true}
- name: session
  envoyExtAuthzHttp:
    service: session.auth.svc.cluster.local
    port: 8000
    pathPrefix: /check
    includeRequestHeadersInCheck: [cookie, x-ext-*]
    includeAdditionalHeadersInCheck: {x-zone: a}
    headersToUpstreamOnAllow: [x-user]
    headersToDownstreamOnAllow: [set-cookie]
    headersToDownstreamOnDeny: [location]
waypost:
  tokensBeforeCustom: true
  layeredAuthorization: true
  maxConnectionDuration: 1h
  publicRoots: /roots.pem
  dnsServers: [10.96.0.10, "10.96.0.11:5353", "fd00::53", "[fd00::54]:54"]
  waypoints: {image: example.com/envoy, drainSeconds: 7}
"""
MESH = Mesh(
    trust_domain="corp.example",
    trust_domain_aliases=("old.example",),
    root_namespace="mesh",
    providers=(
        AuthzProvider(
            "opa",
            "opa.auth.svc.cluster.local",
            9191,
            CheckProtocol.GRPC,
            namespace="auth",
            timeout_ms=500,
            fail_open=True,
            status_on_error=503,
            body=RequestBody(4096, partial=True),
        ),
        AuthzProvider(
            "session",
            "session.auth.svc.cluster.local",
            8000,
            CheckProtocol.HTTP,
            path_prefix="/check",
            request_headers=("cookie", "x-ext-*"),
            added_headers=(("x-zone", "a"),),
            headers_upstream_on_allow=("x-user",),
            headers_downstream_on_allow=("set-cookie",),
            headers_downstream_on_deny=("location",),
        ),
    ),
    tokens_before_custom=True,
    layered_authorization=True,
    max_connection_ms=3_600_000,
    public_roots="/roots.pem",
    dns_servers=("10.96.0.10:53", "10.96.0.11:5353", "[fd00::53]:53", "[fd00::54]:54"),
    deployment=DeploymentFacts(image="example.com/envoy", drain_s=7),
)


def test_all_that_waypoints_need_is_read():
    config = read_mesh_config(yaml.safe_load(TEXT), Mesh())
    assert config.problems == ()
    assert config.mesh == MESH


def test_nothing_said_is_nothing_changed():
    assert read_mesh_config(None, MESH).mesh.trust_domain == "corp.example"
    assert read_mesh_config({}, Mesh()) == read_mesh_config(None, Mesh())
    assert read_mesh_config({}, Mesh()).mesh == Mesh()


def test_a_file_or_a_config_map(tmp_path: Path):
    plain, wrapped = tmp_path / "mesh.yaml", tmp_path / "map.yaml"
    plain.write_text(TEXT)
    wrapped.write_text(yaml.safe_dump({"kind": "ConfigMap", "data": {"mesh": TEXT}}))
    assert load_mesh_config(plain, Mesh()) == load_mesh_config(wrapped, Mesh()) == MESH


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], ""),
        ({"trustDomain": 1}, "trustDomain"),
        ({"waypost": {"tokenBeforeCustom": True}}, "waypost.tokenBeforeCustom"),
        ({"waypost": {"maxConnectionDuration": "soon"}}, "waypost.maxConnectionDuration"),
        ({"waypost": {"dnsServers": ["dns.example.com"]}}, "waypost.dnsServers"),
        ({"waypost": {"dnsServers": ["10.0.0.1:0"]}}, "waypost.dnsServers"),
        ({"waypost": {"dnsServers": [":53"]}}, "waypost.dnsServers"),
        ({"extensionProviders": [{"name": "a", "envoyExtAuthzGrpc": {"service": "a.b"}}]}, "port"),
        (
            {
                "extensionProviders": [
                    {"name": "a", "envoyExtAuthzHttp": {"service": "a.b", "port": 1, **extra}}
                    for extra in ({"statusOnError": "200"},)
                ]
            },
            "statusOnError",
        ),
        (
            {
                "extensionProviders": [
                    {"name": "a", "envoyExtAuthzGrpc": {"service": "a.b", "port": 1}}
                ]
                * 2
            },
            "extensionProviders",
        ),
        (
            {
                "extensionProviders": [
                    {
                        "name": "a",
                        "envoyExtAuthzHttp": {
                            "service": "a.b",
                            "port": 1,
                            "headersToUpstreamOnAllow": ["x y"],
                        },
                    }
                ]
            },
            "headersToUpstreamOnAllow",
        ),
    ],
)
def test_what_is_wrong_is_named(document: object, path: str):
    (problem,) = read_mesh_config(document, Mesh()).problems
    assert problem.path.endswith(path)


@pytest.mark.parametrize("text", ["a: [", "[]", "kind: ConfigMap", "trustDomain: 1"])
def test_a_bad_file_is_not_used(tmp_path: Path, text: str):
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    with pytest.raises(MeshConfigError):
        load_mesh_config(path, Mesh())


@pytest.mark.parametrize(
    ("options", "environment", "seen"),
    [
        ([], {}, ("file.example", ("older.example",), True)),
        ([], {"WAYPOST_TRUST_DOMAIN": "env.example"}, ("env.example", ("older.example",), True)),
        (
            ["--trust-domain", "flag.example", "--trust-domain-alias", "a.example"],
            {"WAYPOST_TRUST_DOMAIN": "env.example"},
            ("flag.example", ("a.example",), True),
        ),
        (
            ["--no-layered-authorization", "--trust-domain", "cluster.local"],
            {},
            ("cluster.local", ("older.example",), False),
        ),
    ],
)
def test_an_option_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, options: list[str], environment: dict[str, str], seen: tuple[object, ...]
):
    file = tmp_path / "mesh.yaml"
    file.write_text(
        "{trustDomain: file.example, trustDomainAliases: [older.example],"
        " waypost: {layeredAuthorization: true}}"
    )
    found: list[Mesh] = []

    @click.command()
    @mesh_options
    def command(mesh: Mesh) -> None:
        found.append(mesh)

    result = CliRunner().invoke(command, ["--mesh-config", str(file), *options], env=environment)
    assert result.exit_code == 0, result.output
    (mesh,) = found
    assert (mesh.trust_domain, mesh.trust_domain_aliases, mesh.layered_authorization) == seen
