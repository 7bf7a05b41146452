"""What a policy is told about its targets and its fields: Istio's reasons, and where each is."""

from typing import Any

import pytest

from tests.support.manifests import gateway, namespace, pod, service
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh
from translators.resources import parse
from translators.world import Change

PORTS = (("http", 80, 8080),)
HERE = {"group": "", "kind": "Service", "name": "web"}
LOST = {"group": "", "kind": "Service", "name": "gone"}
FREE = {"group": "", "kind": "Service", "name": "free"}
OUTSIDE = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "gone"}
OURS = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}
CLASS = {"group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint"}
POD = {"group": "", "kind": "Pod", "name": "p"}


def told(kind: str, **spec: Any) -> tuple[bool, str, str]:
    """The only condition of a policy in the namespace ``shop``."""
    annotations = spec.pop("annotations", {})
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "p", "namespace": "shop", "annotations": annotations},
        "spec": {"targetRefs": [HERE], **spec},
    }
    free = service("free", "shop", "10.96.0.2", {"app": "free"}, PORTS)
    free = {**free, "metadata": {"name": "free", "namespace": "shop"}}
    free["metadata"]["labels"] = {"istio.io/use-waypoint": "none"}
    base = [
        namespace("shop"),
        gateway("shop"),
        service("web", "shop", "10.96.0.1", {"app": "web"}, PORTS),
        free,
        pod("p", "shop", "10.0.0.1", {}),
    ]
    compiler = Compiler(Mesh())
    parsed = [parse(manifest).value for manifest in (*base, policy)]
    compiler.apply(Change(found.key, found) for found in parsed if found is not None)
    (found,) = (one for one in compiler.conditions() if one.origin.kind == kind)
    return found.status, found.reason, found.message


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "RequestAuthentication"])
@pytest.mark.parametrize(
    ("targets", "status", "reason", "says"),
    [
        ([HERE], True, "Accepted", "bound to shop/waypoint"),
        ([OURS], True, "Accepted", "bound to shop/waypoint"),
        ([LOST], False, "TargetNotFound", "Service shop/gone was not found"),
        ([OUTSIDE], False, "TargetNotFound", "ServiceEntry shop/gone was not found"),
        ([{**OURS, "name": "gone"}], False, "TargetNotFound", "not bound"),
        ([FREE], False, "AncestorNotBound", "Service shop/free is not bound to a waypoint"),
        ([CLASS], False, "Invalid", "must be in the root namespace `istio-system`"),
        ([POD], False, "Invalid", "Pod can't be a policy's target"),
        ([HERE, LOST], True, "PartiallyInvalid", "Invalid targetRefs: Service.core:shop/gone"),
        ([FREE, LOST], False, "Invalid", "Service.core:shop/free, Service.core:shop/gone"),
        ([], False, "NoTargetRefs", "add spec.targetRefs"),
    ],
)
def test_targets(kind: str, targets: list[Any], status: bool, reason: str, says: str) -> None:
    found = told(kind, targetRefs=targets)
    assert found[:2] == (status, reason)
    assert says in found[2]


def source(**fields: Any) -> dict[str, Any]:
    return {"from": [{"source": {"namespaces": ["x"]}}, {"source": fields}]}


def operation(**fields: Any) -> dict[str, Any]:
    return {"to": [{"operation": {"methods": ["GET"]}}, {"operation": fields}]}


def condition(key: str, **values: Any) -> dict[str, Any]:
    return {"when": [{"key": "source.ip", "values": ["10.0.0.1"]}, {"key": key, **values}]}


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (source(principals=["a", "b*c"]), "from[1].source.principals[1]"),
        (source(notPrincipals=["b*c"]), "from[1].source.notPrincipals[0]"),
        (source(requestPrincipals=["plain"]), "from[1].source.requestPrincipals[0]"),
        (source(namespaces=["a", "a*b"]), "from[1].source.namespaces[1]"),
        (source(serviceAccounts=["a/b/c"]), "from[1].source.serviceAccounts[0]"),
        (source(trustDomains=["*a*"]), "from[1].source.trustDomains[0]"),
        (source(ipBlocks=["10.0.0.0/8", "10.0.0"]), "from[1].source.ipBlocks[1]"),
        (source(notRemoteIpBlocks=["nowhere"]), "from[1].source.notRemoteIpBlocks[0]"),
        (operation(hosts=["a*b"]), "to[1].operation.hosts[0]"),
        (operation(ports=["80", "http"]), "to[1].operation.ports[1]"),
        (operation(methods=["G*T"]), "to[1].operation.methods[0]"),
        (operation(paths=["/a;b"]), "to[1].operation.paths[0]"),
        (operation(notPaths=["/{**}/{*}"]), "to[1].operation.notPaths[0]"),
        (condition("no.such.key", values=["a"]), "when[1].key"),
        (condition("destination.port", values=["http"]), "when[1].values[0]"),
        (condition("destination.ip", notValues=["10"]), "when[1].notValues[0]"),
        (condition("connection.sni", values=["a*b"]), "when[1].values[0]"),
        (condition("request.headers[x]", values=["a*b"]), "when[1].values[0]"),
        (condition("request.auth.claims[a]", notValues=["a*b"]), "when[1].notValues[0]"),
    ],
)
@pytest.mark.parametrize(
    ("action", "effect"), [("ALLOW", "matches nothing"), ("DENY", "matches everything")]
)
def test_every_field_is_named_with_its_rule(
    rule: dict[str, Any], path: str, action: str, effect: str
) -> None:
    status, reason, message = told("AuthorizationPolicy", action=action, rules=[{}, rule])
    assert (status, reason) == (True, "UnsupportedValue")
    assert f"spec.rules[1].{path}: " in message
    assert effect in message


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"action": "PERHAPS", "rules": [{}]}, "spec.action"),
        ({"action": "CUSTOM", "rules": [{}], "provider": {"name": "x"}}, "spec.provider.name"),
        ({"rules": [{}, {"from": "everybody"}]}, "spec.rules[1].from"),
        ({"rules": [{}, {"to": [{"operation": {"paths": "/x"}}]}]}, "spec.rules[1].to[0]"),
        ({"rules": "all"}, "spec.rules"),
    ],
)
def test_what_can_not_be_read_is_named(spec: dict[str, Any], path: str) -> None:
    status, reason, message = told("AuthorizationPolicy", **spec)
    assert (status, reason) == (True, "UnsupportedValue")
    assert path in message


def test_rules_of_tokens_are_named() -> None:
    rules = [{"issuer": "a", "jwks": "{}"}, {"issuer": "b", "jwksUri": "ftp://x/keys"}]
    status, reason, message = told("RequestAuthentication", jwtRules=rules)
    assert (status, reason) == (True, "UnsupportedValue")
    assert "spec.jwtRules[0].jwks: " in message
    assert "spec.jwtRules[1].jwksUri: " in message


def test_a_dry_run_is_told_and_nothing_is_wrong_with_it() -> None:
    dry = {"istio.io/dry-run": "true"}
    status, reason, message = told("AuthorizationPolicy", rules=[{}], annotations=dry)
    assert (status, reason) == (True, "Accepted")
    assert message == "bound to shop/waypoint; dry run: watched, not enforced"
