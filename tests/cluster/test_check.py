"""``waypost check`` against an API server: what is well, what is not, and what to do about it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.install.render import INSTALL, NAMESPACE
from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.kubeapi import Answer, Fault, KubeApi
from tests.support.replica import replica
from xds_server.cli import main
from xds_server.identity.authority_store import open_authority
from xds_server.preflight import Section, api_server
from xds_server.preflight.replicas import _judge_pod
from xds_server.preflight.report import Outcome, worst
from xds_server.serving.permissions import permissions

CRDS = ("gateway-api-standard", "istio")
POD = "waypost-5d-abcde"


async def check(folder: Path, *options: str) -> Result:
    arguments = ["check", "--kubeconfig", str(folder / "kubeconfig"), *options]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


def secret(folder: Path) -> dict[str, Any]:
    open_authority(folder, datetime.now(UTC))
    data = {path.name: base64.b64encode(path.read_bytes()).decode() for path in folder.iterdir()}
    metadata = {"name": "waypost-ca", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def pod(*, ready: bool = True) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "waypost", "app.kubernetes.io/instance": "waypost"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [{"name": "waypost", "image": "waypost"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


@asynccontextmanager
async def installed(folder: Path, certs: CertFolder) -> AsyncIterator[KubeApi]:
    """A cluster where waypost is installed and runs."""
    async with KubeApi(CRDS) as api:
        api.write_kubeconfig(folder / "kubeconfig")
        for manifest in yaml.safe_load_all(INSTALL.read_text()):
            if manifest and manifest["kind"] not in ("Deployment", "Service"):
                api.put(manifest)
        api.put(secret(folder / "ca"))
        api.put(pod())
        api.access.enforces_roles = True
        async with replica(api, folder, certs.authority, f"{POD}_1", namespace=NAMESPACE) as one:
            api.pod_addresses[NAMESPACE, f"{POD}:15014"] = one.addresses.admin
            await eventually(lambda: one.leads)
            yield api


async def test_all_is_well(tmp_path: Path, certs: CertFolder) -> None:
    async with installed(tmp_path, certs):
        result = await check(tmp_path)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:2] == ["kubernetes-api", "--------------"]
    assert "√ clocks agree" in lines
    assert "√ the CA in Secret waypost-system/waypost-ca works" in lines
    assert f"√ a replica leads, and writes status ({POD})" in lines
    assert any(line.startswith(f"√ {POD} is up to date") for line in lines)
    wanted = len(permissions())
    assert f"√ service account {NAMESPACE}/waypost has {wanted} of {wanted} permissions" in lines
    assert lines[-1] == "Status check results are √"


async def test_what_is_wrong_is_named_with_a_hint(tmp_path: Path, certs: CertFolder) -> None:
    async with installed(tmp_path, certs) as api:
        role = api.store.get(("rbac.authorization.k8s.io", "clusterroles"), ("", _role()))
        assert role is not None
        api.put(
            {**role, "rules": [each for each in role["rules"] if "pods" not in each["resources"]]}
        )
        api.remove(secret(tmp_path / "ca"))
        api.put(pod(ready=False))
        result = await check(tmp_path, "-o", "json")
    assert result.exit_code == 79
    report = json.loads(result.output)
    assert report["success"] is False
    failed = {
        each["description"]: each
        for category in report["categories"]
        for each in category["checks"]
        if each["result"] == "error"
    }
    assert {"may list pods", "may watch pods", "may list services"} <= failed.keys()
    assert failed["the CA in Secret waypost-system/waypost-ca works"]["hint"].startswith("Make one")
    assert "no pod is ready" in failed["replicas are running"]["error"]
    assert all(each["error"] and each["hint"] for each in failed.values())


def _role() -> str:
    documents = yaml.safe_load_all(INSTALL.read_text())
    return next(each["metadata"]["name"] for each in documents if each["kind"] == "ClusterRole")


async def test_before_the_installation_only_the_cluster_matters(tmp_path: Path) -> None:
    async with KubeApi() as api:
        api.write_kubeconfig(tmp_path / "kubeconfig")
        open_authority(tmp_path / "ca", datetime.now(UTC))
        result = await check(tmp_path, "--pre", "--ca-dir", str(tmp_path / "ca"))
        assert result.exit_code == 79
        assert "× gateways.gateway.networking.k8s.io can be read" in result.output
        assert "hint: Install the definitions of the Gateway API." in result.output
        assert "‼ authorizationpolicies.security.istio.io can be read" in result.output
        assert "control-plane" not in result.output
    async with KubeApi(CRDS) as api:
        api.write_kubeconfig(tmp_path / "kubeconfig")
        result = await check(tmp_path, "--pre", "--ca-dir", str(tmp_path / "ca"))
        assert result.exit_code == 0, result.output


async def test_a_ca_that_does_not_work_is_an_error(tmp_path: Path) -> None:
    async with KubeApi(CRDS) as api:
        api.write_kubeconfig(tmp_path / "kubeconfig")
        folder = tmp_path / "ca"
        folder.mkdir()
        options = ("--pre", "--ca-dir", str(folder))
        missing = await check(tmp_path, *options)
        assert "× the CA in" in missing.output
        assert missing.exit_code == 79
        assert list(folder.iterdir()) == []  # looked at, not made
        open_authority(folder, datetime.now(UTC))
        (folder / "ca-key.pem").chmod(0o644)
        assert "others can read it" in (await check(tmp_path, *options)).output


async def test_who_is_not_there_gets_one_line(tmp_path: Path) -> None:
    KubeApi().write_kubeconfig(tmp_path / "kubeconfig")  # at port 0: nobody
    result = await check(tmp_path)
    assert result.exit_code == 79
    assert result.output.count("×") == 2  # the check, and the result of all
    assert "hint: See whether kubectl" in result.output


async def test_a_cluster_that_refuses_is_reported_and_not_raised(
    tmp_path: Path, certs: CertFolder
) -> None:
    async with installed(tmp_path, certs) as api:
        api.faults.add(Fault(Answer(500), "*", "*", times=None))
        result = await check(tmp_path)
        assert result.exit_code == 79
        assert result.exception is None or isinstance(result.exception, SystemExit)
        api.faults.clear()
        patient = asyncio.create_task(check(tmp_path, "--wait", "30"))
        api.put(pod(ready=False))
        await asyncio.sleep(1)
        api.put(pod())
        assert (await patient).exit_code == 0


async def test_our_own_permissions_can_be_asked_for(tmp_path: Path, certs: CertFolder) -> None:
    async with installed(tmp_path, certs) as api:
        account = api.store.get(("", "serviceaccounts"), (NAMESPACE, "waypost"))
        assert account is not None
        token = api.access.issue_token(account, [])
        api.write_kubeconfig(tmp_path / "kubeconfig", token)
        result = await check(tmp_path, "--account", "-")
        assert "whoever asks has" in result.output
        assert "× may" not in result.output
        # An account that may not read the Secret or ask pods still learns the rest.
        assert "‼ the CA in Secret" in result.output
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [
        (timedelta(0), Outcome.SUCCESS),
        (timedelta(seconds=-40), Outcome.WARNING),
        (timedelta(minutes=5), Outcome.ERROR),
        (timedelta(minutes=-5), Outcome.ERROR),
    ],
)
def test_clocks_that_differ(ahead: timedelta, outcome: Outcome) -> None:
    now = datetime.now(UTC)
    date = (now + ahead).strftime("%a, %d %b %Y %H:%M:%S GMT")
    skew = api_server._skew(date, now.timestamp())
    assert api_server._judge_clock(skew).outcome is outcome
    assert api_server._judge_clock(api_server._skew("yesterday", 0.0)).outcome is Outcome.WARNING


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        (b'{"gitVersion": "v1.34.1+k3s1"}', Outcome.SUCCESS),
        (b'{"gitVersion": "v1.26.9"}', Outcome.ERROR),
        (b'{"gitVersion": "new"}', Outcome.WARNING),
        (b"[", Outcome.WARNING),
        (b"[]", Outcome.WARNING),
    ],
)
def test_versions(version: bytes, outcome: Outcome) -> None:
    assert api_server._judge_version(version).outcome is outcome


def test_a_pod_that_hears_nothing_any_more() -> None:
    text = (
        'waypost_watch_age_seconds{kind="pods"} 900.0\n'
        'waypost_watch_age_seconds{kind="services"} 1.0\nwaypost_problems 3.0\n'
    )
    old, troubled = _judge_pod("p", text)
    assert old.outcome is Outcome.ERROR
    assert "pods was last confirmed 900 s ago" in old.reason
    assert troubled.outcome is Outcome.WARNING
    (fine,) = _judge_pod("p", 'waypost_watch_age_seconds{kind="pods"} 9.0\n')
    assert worst([Section("s", (fine,))]) is Outcome.SUCCESS
