"""The API servers that the contract is held against: the fake one, and real ones where found."""

import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.loopback import free_port

_TOKEN = "contract-admin"
_START_S = 60.0
_K3S_IMAGE = "rancher/k3s:v1.34.3-k3s1"


@dataclass(frozen=True)
class Access:
    """How to reach a real API server as its administrator."""

    url: str
    token: str
    tls: ssl.SSLContext
    kubeconfig: Path


def find_envtest() -> tuple[Path, Path] | None:
    """kube-apiserver and etcd where envtest looks for them; None if they are not there."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin")
    server = Path(os.environ.get("TEST_ASSET_KUBE_APISERVER", f"{assets}/kube-apiserver"))
    etcd = Path(os.environ.get("TEST_ASSET_ETCD", f"{assets}/etcd"))
    return (server, etcd) if server.is_file() and etcd.is_file() else None


@contextmanager
def run_envtest(server: Path, etcd: Path) -> Iterator[Access]:
    """A real kube-apiserver with its etcd on loopback; no controllers run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        etcd_port, port = free_port("127.0.0.1"), free_port("127.0.0.1")
        stack.enter_context(_running(_etcd_command(etcd, folder, etcd_port)))
        stack.enter_context(_running(_server_command(server, folder, etcd_port, port)))
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE  # the server makes its own certificate
        url = f"https://127.0.0.1:{port}"
        _wait_until_ready(url, tls)
        yield Access(url, _TOKEN, tls, _write_kubeconfig(folder / "kubeconfig", url))


def _etcd_command(etcd: Path, folder: Path, port: int) -> list[str]:
    url = f"http://127.0.0.1:{port}"
    return [
        str(etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync",
    ]


def _server_command(server: Path, folder: Path, etcd_port: int, port: int) -> list[str]:
    key = _write_signing_key(folder / "sa.key")
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{_TOKEN},admin,0,"system:masters"\n')
    return [
        str(server),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--allow-privileged=true",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={tokens}",
    ]


def _write_signing_key(path: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return path


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(url: str, tls: ssl.SSLContext) -> None:
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {_TOKEN}"})
    end = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=2, context=tls):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _write_kubeconfig(path: Path, url: str) -> Path:
    cluster = {"server": url, "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "envtest",
        "clusters": [{"name": "envtest", "cluster": cluster}],
        "users": [{"name": "envtest", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "envtest", "context": {"cluster": "envtest", "user": "envtest"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def has_container_engine() -> bool:
    """Whether a container engine answers."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        answer = subprocess.run([docker, "info"], check=False, capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


@contextmanager
def run_k3s() -> Iterator[Access]:
    """A real cluster in a container."""
    from testcontainers.community.k3s import K3SContainer

    with (
        K3SContainer(_K3S_IMAGE, enable_cgroup_mount=False) as k3s,
        tempfile.TemporaryDirectory() as folder,
    ):
        text = k3s.config_yaml()
        kubeconfig = Path(folder, "kubeconfig")
        kubeconfig.write_text(text)
        yield Access(_server_of(text), "", _client_tls(text, Path(folder)), kubeconfig)


def _server_of(kubeconfig: str) -> str:
    return str(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"])


def _client_tls(kubeconfig: str, folder: Path) -> ssl.SSLContext:
    from base64 import b64decode

    config = yaml.safe_load(kubeconfig)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    chain = folder / "client.pem"
    chain.write_bytes(
        b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"])
    )
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    tls = ssl.create_default_context(cadata=authority)
    tls.load_cert_chain(chain)
    return tls
