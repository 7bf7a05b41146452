"""What people do: every API server works with an unmodified kubectl."""

import json

import pytest

from tests.cluster import widgets
from tests.cluster.conftest import Kube
from tests.cluster.widgets import widget

_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}
"""


@pytest.fixture(autouse=True)
async def definition(kube: Kube) -> None:
    await widgets.define(kube)


async def run(kube: Kube, *arguments: str, stdin: str = "") -> str:
    code, output = await kube.kubectl(*arguments, stdin=stdin)
    assert code == 0, output
    return output


async def test_applies_changes_and_deletes_a_service(kube: Kube) -> None:
    assert "created" in await run(kube, "apply", "-f", "-", stdin=_SERVICE)
    assert "unchanged" in await run(kube, "apply", "-f", "-", stdin=_SERVICE)
    fewer = _SERVICE.replace(", {name: https, port: 443}", "").replace("http,", "web,")
    assert "configured" in await run(kube, "apply", "-f", "-", stdin=fewer)
    shown = json.loads(await run(kube, "get", "service", "web", "-o", "json"))
    assert [(port["name"], port["port"]) for port in shown["spec"]["ports"]] == [("web", 80)]
    assert "web" in await run(kube, "get", "svc", "-l", "app=web")
    assert "deleted" in await run(kube, "delete", "service", "web")
    assert "No resources found" in await run(kube, "get", "svc")


async def test_works_with_a_custom_resource(kube: Kube) -> None:
    manifest = json.dumps(widget("a"))
    assert "created" in await run(kube, "apply", "-f", "-", stdin=manifest)
    await run(kube, "label", "widget", "a", "team=x")
    await run(kube, "annotate", "widget", "a", "note=y")
    status = '{"status":{"phase":"Ready"}}'
    await run(kube, "patch", "widget", "a", "--subresource=status", "--type=merge", "-p", status)
    await run(kube, "wait", "--for=jsonpath={.status.phase}=Ready", "widget/a", "--timeout=10s")
    shown = json.loads(await run(kube, "get", "widget", "a", "-o", "json"))
    assert shown["metadata"]["labels"] == {"team": "x"}
    assert shown["metadata"]["annotations"]["note"] == "y"
    assert shown["status"] == {"phase": "Ready"}
    await run(kube, "wait", "--for=condition=Established", f"crd/{widgets.NAME}", "--timeout=10s")
    await run(kube, "delete", "widget", "a", "--wait")
    code, output = await kube.kubectl("get", "widget", "a")
    assert code == 1
    assert "NotFound" in output


async def test_tells_what_the_server_refused(kube: Kube) -> None:
    code, output = await kube.kubectl("apply", "-f", "-", stdin=json.dumps(widget("a", sise=3)))
    assert code == 1
    assert 'unknown field "spec.sise"' in output
    code, output = await kube.kubectl("apply", "-f", "-", stdin=json.dumps(widget("a", size=0)))
    assert code == 1
    assert "spec.size" in output


async def test_applies_on_the_server_side_with_conflicts(kube: Kube) -> None:
    one, two = json.dumps(widget("a")), json.dumps(widget("a", size=4))
    server_side = ("apply", "--server-side", "-f", "-")
    assert "serverside-applied" in await run(kube, *server_side, "--field-manager=one", stdin=one)
    code, output = await kube.kubectl(*server_side, "--field-manager=two", stdin=two)
    assert code == 1
    assert "conflict" in output
    assert ".spec.size" in output
    forced = (*server_side, "--field-manager=two", "--force-conflicts")
    assert "serverside-applied" in await run(kube, *forced, stdin=two)


async def test_finds_its_way_by_short_names_and_across_namespaces(kube: Kube) -> None:
    manifest = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: "1"}\n'
    await run(kube, "apply", "-f", "-", stdin=manifest)
    assert kube.namespace in await run(kube, "get", "cm", "-A")
    assert "httproutes" not in await run(kube, "api-resources")
    assert "Server Version" in await run(kube, "version")
