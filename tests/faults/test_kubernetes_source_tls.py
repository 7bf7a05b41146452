"""The cluster source when the API server's certificate authority is another one all of a sudden."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.following import following, service
from tests.support.kubeapi import KubeApi
from tests.support.tlsfront import ServerAuthority, tls_front


def write_kubeconfig(path: Path, port: int, roots: Path) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(roots)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": "x"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(config))
    return path


async def test_new_roots_are_read_once_the_server_has_a_certificate_of_theirs(
    tmp_path: Path,
) -> None:
    first, second = (ServerAuthority(tmp_path / name) for name in ("first", "second"))
    async with KubeApi() as api, AsyncExitStack() as fronts:
        plain = int(api.url.rpartition(":")[2])
        port = await fronts.enter_async_context(tls_front(plain, first))
        path = write_kubeconfig(tmp_path / "kubeconfig", port, first.roots)
        async with following(api, "services", kubeconfig=path) as follow:
            await fronts.aclose()
            await fronts.enter_async_context(tls_front(plain, second, port))
            api.reset_connections()
            await follow.until_problem("certificate verify failed")
            first.roots.write_bytes(second.roots.read_bytes())
            api.put(service("a"))
            await follow.until_named("Service", "a")
            await follow.until(lambda: follow.problems() == [])


async def test_a_server_that_is_not_trusted_is_not_listened_to_until_its_roots_are_there(
    tmp_path: Path,
) -> None:
    ours, theirs = (ServerAuthority(tmp_path / name) for name in ("ours", "theirs"))
    async with KubeApi() as api:
        api.put(service("a"))
        async with tls_front(int(api.url.rpartition(":")[2]), theirs) as port:
            path = write_kubeconfig(tmp_path / "kubeconfig", port, ours.roots)
            async with following(api, "services", kubeconfig=path, until_synced=False) as follow:
                await follow.until_problem("certificate verify failed")
                assert follow.objects == {}
                assert api.count() == 0
                ours.roots.write_bytes(theirs.roots.read_bytes())
                await follow.until_named("Service", "a")
                await follow.until(lambda: follow.problems() == [])
