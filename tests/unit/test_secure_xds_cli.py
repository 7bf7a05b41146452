"""Options of ``waypost serve`` that open xDS to other hosts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from translators.ir.waypoint import Mesh
from xds_server.cli.secure_xds import SecureXdsOptions
from xds_server.cli.serve import serve
from xds_server.identity.certificates import CertificateCredentials
from xds_server.identity.tokens import TokenCredentials
from xds_server.sources.kubernetes.login import choose_login

HOME, MESH = "waypost-system", Mesh(cluster_domain="example.local")


def options(
    address: str | None = "0.0.0.0:15012",
    hosts: tuple[str, ...] = (),
    clients: str | None = None,
) -> SecureXdsOptions:
    return SecureXdsOptions(address, hosts, clients, "waypost")


def test_there_is_no_listener_unless_it_is_asked_for() -> None:
    assert options(address=None).listener(None, HOME, MESH) is None
    assert not options(address=None).takes_tokens


async def test_a_cluster_is_asked_about_tokens_and_without_one_certificates_count() -> None:
    login = choose_login()
    on_cluster = options().listener(login, HOME, MESH)
    assert on_cluster is not None
    assert isinstance(on_cluster.credentials, TokenCredentials)
    assert not on_cluster.credentials.needs_certificate

    alone = options().listener(None, HOME, MESH)
    assert alone is not None
    assert isinstance(alone.credentials, CertificateCredentials)
    assert alone.credentials.needs_certificate

    asked = options(clients="certificate").listener(login, HOME, MESH)
    assert asked is not None
    assert isinstance(asked.credentials, CertificateCredentials)


def test_the_certificate_is_for_our_service_unless_it_is_for_other_hosts() -> None:
    usual = options().listener(None, HOME, MESH)
    assert usual is not None
    assert "waypost.waypost-system.svc" in usual.hosts
    assert "waypost.waypost-system.svc.example.local" in usual.hosts
    other = options(hosts=("xds.example", "10.0.0.1")).listener(None, HOME, MESH)
    assert other is not None
    assert other.hosts == ("xds.example", "10.0.0.1")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (("--xds-tls", "xds.example:15012"), "IP:PORT"),
        (("--xds-tls", "15012"), "IP:PORT"),
        (("--xds-tls", "0.0.0.0:99999"), "IP:PORT"),
        (("--xds-tls", "0.0.0.0:15012", "--xds-host", "*.example"), "--xds-host"),
        (("--xds-tls", "0.0.0.0:15012", "--xds-host", "a/b"), "--xds-host"),
        (("--xds-tls", "0.0.0.0:15012", "--xds-clients", "token"), "--kubernetes"),
        (("--xds-tls", "0.0.0.0:15012", "--xds-clients", "nobody"), "nobody"),
        (("--xds", "0.0.0.0:15010"), "loopback"),
        (("--drain", "-1"), "--drain"),
    ],
)
def test_what_can_not_be_is_a_usage_error(
    given: tuple[str, ...], hint: str, tmp_path: Path
) -> None:
    arguments = ["--manifests", str(tmp_path), "--ca-dir", str(tmp_path / "ca"), *given]
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 2
    assert hint in result.stderr
