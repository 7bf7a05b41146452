"""What is installed on a cluster: that an API server would take it, and that it fits the code."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient

from tests.install.render import CHART, FULL, INSTALL, NAMESPACE, find_helm, full, helm, install
from translators.ir.bootstrap import SECURE_PORT
from xds_server.cli.serve import serve
from xds_server.identity.authority_store import load_authority, open_authority
from xds_server.serving.permissions import Permission, permissions

Manifest = Mapping[str, Any]

CUSTOM = frozenset({"ServiceMonitor"})  # of which the client has no model
SELECTOR = {"app.kubernetes.io/name": "waypost", "app.kubernetes.io/instance": "waypost"}


def load(path: Path) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


EVERY = [(path.name, each) for path in (INSTALL, FULL) for each in load(path)]
both = pytest.mark.parametrize("path", [INSTALL, FULL], ids=lambda path: path.name)
needs_helm = pytest.mark.skipif(find_helm() is None, reason="no helm in the path, nor in HELM")


def one(path: Path, kind: str) -> Manifest:
    (found,) = [each for each in load(path) if each["kind"] == kind]
    return found


def model_of(manifest: Manifest) -> str:
    version = manifest["apiVersion"].rpartition("/")[2]
    return f"{version[0].upper()}{version[1:]}{manifest['kind']}"


@pytest.mark.parametrize(
    "manifest", [pytest.param(each, id=f"{name}-{each['kind']}") for name, each in EVERY]
)
def test_every_field_is_one_of_kubernetes_and_of_its_type(manifest: Manifest) -> None:
    assert manifest["metadata"]["name"]
    if manifest["kind"] in CUSTOM:
        return
    client = ApiClient()
    text = json.dumps(manifest)
    read = client.deserialize(text, model_of(manifest), "application/json")
    assert client.sanitize_for_serialization(read) == json.loads(text)


def test_a_field_that_kubernetes_does_not_have_would_be_found() -> None:
    deployment = json.loads(json.dumps(one(INSTALL, "Deployment")))
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    client = ApiClient()
    read = client.deserialize(json.dumps(deployment), "V1Deployment", "application/json")
    assert client.sanitize_for_serialization(read) != deployment


@both
def test_roles_permit_exactly_what_the_code_asks_for(path: Path) -> None:
    granted = [
        *_granted(one(path, "ClusterRole"), everywhere=True),
        *_granted(one(path, "Role"), everywhere=False),
    ]
    assert len(set(granted)) == len(granted)
    assert sorted(granted) == list(permissions())


def _granted(role: Manifest, *, everywhere: bool) -> Iterator[Permission]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield Permission(group, resource, verb, everywhere, name)


@both
def test_roles_are_bound_to_the_account_of_the_pods(path: Path) -> None:
    account = one(path, "ServiceAccount")["metadata"]
    pod = one(path, "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]
    for kind in ("ClusterRole", "Role"):
        binding = one(path, f"{kind}Binding")
        assert binding["roleRef"]["kind"] == kind
        assert binding["roleRef"]["name"] == one(path, kind)["metadata"]["name"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account["name"], "namespace": NAMESPACE}
        ]


@both
def test_pods_are_restricted(path: Path) -> None:
    """The Pod Security Standard of that name, and a root file system that is read only."""
    pod = one(path, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {next(iter(each.keys() - {"name"})) for each in pod["volumes"]} <= {
        *("secret", "emptyDir", "configMap")
    }


@both
def test_objects_find_each_other(path: Path) -> None:
    deployment, service = one(path, "Deployment"), one(path, "Service")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert SELECTOR.items() <= labels.items()
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        one(path, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(path, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == SELECTOR
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc-xds": SECURE_PORT, "http-admin": 15014}
    for port in service["spec"]["ports"]:
        assert port["port"] == ports[port["targetPort"]]
    for rule in one(path, "NetworkPolicy")["spec"]["ingress"]:
        assert {port["port"] for port in rule["ports"]} <= ports.keys()
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http-admin"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http-admin"}


def test_all_can_be_switched_on() -> None:
    scaler, monitor = one(FULL, "HorizontalPodAutoscaler"), one(FULL, "ServiceMonitor")
    deployment = one(FULL, "Deployment")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert monitor["spec"]["selector"]["matchLabels"] == SELECTOR
    ports = {port["name"] for port in one(FULL, "Service")["spec"]["ports"]}
    assert {each["port"] for each in monitor["spec"]["endpoints"]} <= ports
    assert one(INSTALL, "Deployment")["spec"]["replicas"] == 2


@both
def test_the_command_takes_these_arguments(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (container,) = one(path, "Deployment")["spec"]["template"]["spec"]["containers"]
    name, *arguments = container["args"]
    assert name == "serve"
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    for each in container["env"]:
        monkeypatch.setenv(each["name"], each.get("value", "waypost-system"))
    (tmp_path / "mesh").write_text("{}")
    there = [each.replace("/etc/waypost/mesh/", f"{tmp_path}/") for each in arguments]
    parsed = serve.make_context("serve", there).params
    assert parsed["kubernetes"] is True
    assert str(parsed["ca_dir"]) in mounts
    assert parsed["waypoint_xds"] == f"waypost.{NAMESPACE}.svc:{SECURE_PORT}"
    assert parsed["xds_tls"] == f"0.0.0.0:{SECURE_PORT}"
    host = f"waypost.{NAMESPACE}.svc"
    assert parsed["xds_hosts"][0] == host
    assert parsed["xds_hosts"][1].startswith(f"{host}.")
    assert parsed["admin_address"] == "0.0.0.0:15014"
    assert parsed["namespace"] == "waypost-system"


def test_the_image_runs_as_the_user_of_the_pods() -> None:
    dockerfile = (CHART.parent / "images" / "waypost.Dockerfile").read_text()
    context = one(INSTALL, "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in dockerfile
    assert 'ENTRYPOINT ["waypost"]' in dockerfile


def test_a_mounted_secret_is_taken_for_a_ca_and_left_alone(tmp_path: Path) -> None:
    """As a kubelet mounts it: read by a group, through links, in a folder that is not ours."""
    (volume,) = [
        each
        for each in one(INSTALL, "Deployment")["spec"]["template"]["spec"]["volumes"]
        if each["name"] == "ca"
    ]
    made, mount = tmp_path / "made", tmp_path / "mount"
    expected = open_authority(made, datetime.now(UTC))
    (mount / "..2026").mkdir(parents=True)
    for file in made.iterdir():
        target = mount / "..2026" / file.name
        target.write_bytes(file.read_bytes())
        target.chmod(volume["secret"]["defaultMode"])
        (mount / file.name).symlink_to(f"..data/{file.name}")
    (mount / "..data").symlink_to("..2026")
    mount.chmod(0o1777)
    before = sorted(path.name for path in mount.iterdir())
    if os.geteuid() != 0:
        pytest.skip("only root can make files as a kubelet does")
    assert stat.S_IMODE((mount / "ca-key.pem").stat().st_mode) == 0o440
    for opened in (open_authority, load_authority):
        assert opened(mount, datetime.now(UTC)).issuer == expected.issuer
    assert sorted(path.name for path in mount.iterdir()) == before


@needs_helm
def test_what_is_kept_is_what_the_chart_gives() -> None:
    assert INSTALL.read_text() == install(), "run make manifests"
    assert FULL.read_text() == full(), "run make manifests"


@needs_helm
def test_helm_finds_nothing_to_complain_of() -> None:
    for values in ("values.yaml", "ci/full-values.yaml"):
        assert "[WARNING]" not in helm("lint", "--strict", CHART, "--values", CHART / values)


@needs_helm
@pytest.mark.parametrize(
    "value", ["replicaCount=0", "replicas=3", "ca.secretName=A", "mesh.trustDomain=a/b"]
)
def test_values_that_can_not_be_meant_are_refused(value: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        helm("template", "waypost", CHART, "--kube-version", "1.34.0", "--set", value)
    assert "don't meet the specifications of the schema" in refusal.value.stderr


def test_values_have_a_schema() -> None:
    """Without Helm too: the chart's own values, and those of the tests, meet it."""
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    check = jsonschema_rs.Draft7Validator(schema)
    assert values.keys() == schema["properties"].keys() - {"global"}
    assert check.is_valid(values)
    for name, given in yaml.safe_load((CHART / "ci/full-values.yaml").read_text()).items():
        values[name] = values[name] | given if isinstance(given, dict) else given
    assert check.is_valid(values)
    assert not check.is_valid(values | {"replicas": 3})
