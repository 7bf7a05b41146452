"""``waypost describe``: who serves what, in which order, and what passes that by."""

from pathlib import Path

import pytest

from tests.support.described import run, told

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop, labels: {labels}}}
spec:
  clusterIP: {ip}
  selector: {{app: {name}}}
  ports: {ports}
"""
HTTP = "[{name: http, port: 80}]"
ENTRY = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec:
  hosts: [api.example.com]
  resolution: DNS
  ports:
  - {number: 80, name: http, protocol: HTTP}
  - {number: 53, name: dns, protocol: UDP}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: guard, namespace: shop}
spec:
  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: api}]
  rules: [{to: [{operation: {methods: [GET]}}]}]
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: shop, labels: {labels}, annotations: {annotations}}}
status: {{phase: Running, podIP: 10.0.0.9}}
"""


def ways(folder: Path, name: str = "web") -> dict[str, tuple[bool, str]]:
    rows = told(folder, "service", name)["waysPastTheWaypoint"]
    return {row["way"]: (row["skips"], row["why"]) for row in rows}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A service with a label of its own, in a namespace without."""
    add(tmp_path, GATEWAY, name="wp", namespace="shop", labels="{}")
    add(
        tmp_path,
        SERVICE,
        name="web",
        labels="{istio.io/use-waypoint: wp}",
        ip="10.0.0.1",
        ports=HTTP,
    )
    return tmp_path


def add(folder: Path, text: str, **values: str) -> None:
    count = len(list(folder.iterdir()))
    (folder / f"{count}.yaml").write_text(text.format(**values) if values else text)


def test_a_namespace(shop: Path):
    add(shop, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
    add(shop, SERVICE, name="b", labels="{istio.io/use-waypoint: lost}", ip="10.0.0.2", ports=HTTP)
    add(shop, SERVICE, name="c", labels="{}", ip="10.0.0.3", ports=HTTP)
    add(shop, POD, name="old", labels="{}", annotations="{}")
    result = run("namespace", "shop", "-f", shop)
    assert (
        result.output
        == """\
Kind:                  Namespace
Name:                  shop
Dataplane Mode:        <none>
Waypoint:
  Name:   <none>
  Label:  <none>
Waypoints:
  Name  Handles              Pods  Programmed
  ----  -------              ----  ----------
  wp    traffic to services  0     no
Services:
  Service  Waypoint   Bound  Label
  -------  --------   -----  -----
  b        shop/lost  no     istio.io/use-waypoint=lost (of Service b)
  c        <none>     no     <none>
  web      shop/wp    yes    istio.io/use-waypoint=wp (of Service web)
Pods Without Ztunnel:  shop/old
"""
    )


def test_a_service_whose_waypoint_is_not_to_be_had(shop: Path):
    add(shop, SERVICE, name="b", labels="{istio.io/use-waypoint: lost}", ip="10.0.0.2", ports=HTTP)
    add(shop, GATEWAY, name="w", namespace="shop", labels="{istio.io/waypoint-for: workload}")
    add(shop, SERVICE, name="c", labels="{istio.io/use-waypoint: w}", ip="10.0.0.3", ports=HTTP)
    add(
        shop,
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: p, namespace: shop}\n"
        'spec: {targetRefs: [{group: "", kind: Service, name: b}]}',
    )
    facts = told(shop, "service", "b")
    assert (facts["waypoint"]["bound"], facts["waypoint"]["reason"]) == (
        False,
        "WaypointIsNotReady",
    )
    assert facts["withoutEffect"] == ["AuthorizationPolicy shop/p"]
    assert facts["waysPastTheWaypoint"].startswith("every way")
    assert told(shop, "service", "c")["waypoint"]["reason"] == "UnsupportedTrafficType"


@pytest.mark.parametrize(
    ("on_service", "on_namespace", "skips", "why"),
    [
        ("", "", True, "neither it nor its namespace"),
        ("", "true", False, "=true (of Namespace shop)"),
        ("true", "false", False, "=true (of Service web)"),
        ("false", "true", True, "=false (of Service web)"),
    ],
)
def test_the_ingress(tmp_path: Path, on_service: str, on_namespace: str, skips: bool, why: str):
    def labels(value: str) -> str:
        ingress = f", istio.io/ingress-use-waypoint: '{value}'" if value else ""
        return f"{{istio.io/use-waypoint: wp{ingress}}}"

    add(tmp_path, GATEWAY, name="wp", namespace="shop", labels="{}")
    add(tmp_path, SERVICE, name="web", labels=labels(on_service), ip="10.0.0.1", ports=HTTP)
    home = f"{{name: shop, labels: {labels(on_namespace)}}}"
    add(tmp_path, f"apiVersion: v1\nkind: Namespace\nmetadata: {home}")
    found, reason = ways(tmp_path)["through an ingress gateway"]
    assert (found, why in reason) == (skips, True)


def test_a_headless_service_has_no_way_through_its_waypoint(tmp_path: Path):
    labels = "{istio.io/use-waypoint: wp, istio.io/ingress-use-waypoint: 'true'}"
    add(tmp_path, GATEWAY, name="wp", namespace="shop", labels="{}")
    add(tmp_path, SERVICE, name="web", labels=labels, ip="None", ports=HTTP)
    found = ways(tmp_path)
    skips, why = found["captured pods, to the service's address"]
    assert (skips, "has no virtual IP" in why) == (True, True)
    skips, why = found["through an ingress gateway"]
    assert (skips, "only for services with a virtual IP" in why) == (True, True)


def test_clients_without_ztunnel_are_named(shop: Path):
    add(shop, POD, name="old", labels="{}", annotations="{}")
    add(shop, POD, name="new", labels="{}", annotations="{ambient.istio.io/redirection: enabled}")
    add(
        shop,
        POD,
        name="wp-1",
        labels="{gateway.networking.k8s.io/gateway-name: wp}",
        annotations="{}",
    )
    assert ways(shop)["clients without ztunnel"] == (
        True,
        "nobody redirects what they send: shop/old",
    )


def test_a_backend_of_another_waypoint_is_reached_past_its_own(shop: Path):
    add(shop, GATEWAY, name="wp2", namespace="shop", labels="{}")
    labels = "{istio.io/use-waypoint: wp2}"
    add(shop, SERVICE, name="front", labels=labels, ip="10.0.0.2", ports=HTTP)
    assert not ways(shop)["from other waypoints' routes"][0]
    add(
        shop,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        "metadata: {name: r, namespace: shop}\n"
        'spec: {parentRefs: [{group: "", kind: Service, name: front}], '
        "rules: [{backendRefs: [{name: web, port: 80}]}]}",
    )
    assert ways(shop)["from other waypoints' routes"] == (
        True,
        "they send straight to the pods, as a backend of shop/front (waypoint shop/wp2)",
    )


def test_routes_are_told_in_the_order_in_which_they_are_tried(shop: Path):
    add(
        shop,
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        "metadata: {name: r, namespace: shop}\n"
        'spec:\n  parentRefs: [{group: "", kind: Service, name: web}]\n  rules:\n'
        "  - backendRefs: [{name: lost, port: 80}]\n"
        "  - matches: [{path: {value: /a}}, {path: {type: Exact, value: /a/b}, method: PUT}]\n"
        "    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301}}]\n"
        "---\n"
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        "metadata: {name: mine, namespace: far}\n"
        'spec:\n  parentRefs: [{group: "", kind: Service, name: web, namespace: shop}]\n'
        "  rules: [{backendRefs: [{name: web, namespace: shop, port: 80}]}]\n",
    )
    (port,) = told(shop, "service", "web")["ports"]
    assert [(row["route"], row["match"], row["action"]) for row in port["routes"]] == [
        ("HTTPRoute far/mine", "from namespace far", "to web.shop.svc.cluster.local:80"),
        ("<default>", "from namespace far", "answer 404"),
        ("HTTPRoute shop/r", "PUT path /a/b", "redirect 301"),
        ("HTTPRoute shop/r", "path /a/*", "redirect 301"),
        ("HTTPRoute shop/r", "any request", "answer 500"),
    ]


def test_ports_that_carry_no_http(tmp_path: Path):
    ports = (
        "[{name: tcp, port: 1}, {name: tls, port: 2}, {name: plain, port: 3}, "
        "{name: dns, port: 4, protocol: UDP}]"
    )
    add(tmp_path, GATEWAY, name="wp", namespace="shop", labels="{}")
    labels = "{istio.io/use-waypoint: wp}"
    add(tmp_path, SERVICE, name="web", labels=labels, ip="10.0.0.1", ports=ports)
    add(
        tmp_path,
        "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TLSRoute\n"
        "metadata: {name: t, namespace: shop}\n"
        'spec: {parentRefs: [{group: "", kind: Service, name: web, port: 2}], '
        "hostnames: [a.example], rules: [{backendRefs: [{name: web, port: 2}]}]}",
    )
    tcp, tls, plain, dns = told(tmp_path, "service", "web")["ports"]
    own = "to web.shop.svc.cluster.local"
    assert [row["action"] for row in tcp["routes"]] == [f"{own}:1"]
    matches = [(row["match"], row["action"]) for row in tls["routes"]]
    assert ("TLS to a.example", f"{own}:2") in matches
    assert plain["protocol"] == "auto (not declared: sniffed)"
    assert [row["match"] for row in plain["routes"]] == ["any request", "any other connection"]
    assert dns["routes"] == "not served: it is no TCP port"


def policy(name: str, action: str, more: str = "") -> str:
    return (
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: {name}, namespace: shop{more}}}\n"
        f"spec:\n  action: {action}\n"
        '  targetRefs: [{group: "", kind: Service, name: web}]\n'
        "  rules: [{to: [{operation: {methods: [GET]}}]}]\n"
    )


def test_policies_are_told_in_the_order_in_which_they_decide(shop: Path):
    tokens = (
        "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"
        "metadata: {name: jwt, namespace: shop}\n"
        'spec:\n  targetRefs: [{group: "", kind: Service, name: web}]\n'
        '  jwtRules: [{issuer: me, jwks: "{\\"keys\\":[]}"}]\n'
    )
    dry = ", annotations: {istio.io/dry-run: 'true'}"
    texts = [policy("a", "ALLOW"), policy("d", "DENY"), tokens, policy("t", "DENY", dry)]
    add(shop, "".join(texts))
    rows = told(shop, "service", "web")["policies"]
    assert [(row["action"], row["policy"].split("/")[1], row["decides"]) for row in rows] == [
        ("verify tokens", "jwt", "on the request"),
        ("DENY", "d", "on the request"),
        ("DENY", "t", "nothing: dry run"),
        ("ALLOW", "a", "on the request"),
    ]


def test_a_pod_is_told_what_ztunnel_enforces(shop: Path):
    labels, annotations = "{app: web}", "{ambient.istio.io/redirection: enabled}"
    add(shop, POD, name="web-1", labels=labels, annotations=annotations)
    add(
        shop,
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: l4, namespace: shop}\n"
        "spec: {action: DENY, selector: {matchLabels: {app: web}}}\n---\n"
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: other, namespace: shop}\n"
        "spec: {action: DENY, selector: {matchLabels: {app: other}}}\n",
    )
    facts = told(shop, "pod", "web-1")
    assert facts["policiesAtZtunnel"] == ["DENY AuthorizationPolicy shop/l4"]
    assert [way["waypoint"] for way in facts["waysIn"]] == ["shop/wp", None]


def test_a_service_is_told_of_its_canary_and_of_near_endpoints(shop: Path):
    add(shop, GATEWAY, name="next", namespace="shop", labels="{}")
    labels = "{istio.io/use-waypoint: wp, istio.io/use-waypoint-canary: %s}"
    for name, canary in (("a", "next"), ("b", "wp")):
        add(shop, SERVICE, name=name, labels=labels % canary, ip="10.0.9.1", ports=HTTP)
    assert told(shop, "service", "a")["waypoint"]["canary"] == "shop/next"
    refused = told(shop, "service", "b")["waypoint"]["canary"]
    assert refused == 'not shop/wp: canary waypoint "shop/wp" is the primary waypoint'
    near = SERVICE.rstrip() + "\n  trafficDistribution: PreferSameNode\n"
    add(shop, near, name="near", labels="{}", ip="10.0.9.2", ports=HTTP)
    assert told(shop, "service", "near")["endpoints"].startswith("of the waypoint's node, then")


def test_a_service_whose_waypoint_must_be_there_is_told_who_refuses(shop: Path):
    required = SERVICE.replace("labels: {labels}", "labels: {labels}, annotations: {annotations}")
    labels = "{istio.io/use-waypoint: missing}"
    note = '{waypost.dev/waypoint-required: "true"}'
    add(shop, required, name="w", labels=labels, ip="10.0.9.3", ports=HTTP, annotations=note)
    said = told(shop, "service", "w")["waysPastTheWaypoint"]
    assert said.startswith("every way")
    assert said.endswith("but other waypoints do not send to it (waypost.dev/waypoint-required)")


def test_a_pod_is_told_which_waypoint_serves_its_own_address(shop: Path):
    add(shop, GATEWAY, name="pods", namespace="shop", labels="{istio.io/waypoint-for: workload}")
    add(shop, POD, name="db-0", labels="{istio.io/use-waypoint: pods}", annotations="{}")
    add(
        shop,
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: p, namespace: shop}\nspec: {action: DENY, targetRefs: "
        "[{group: gateway.networking.k8s.io, kind: Gateway, name: pods}]}\n",
    )
    facts = told(shop, "pod", "db-0")
    assert facts["waypoint"] == {
        "name": "shop/pods",
        "label": "istio.io/use-waypoint=pods (of Pod db-0)",
        "bound": True,
        "handles": "traffic to pods' own addresses",
    }
    assert [(way["way"], way["waypoint"]) for way in facts["waysIn"]] == [
        ("to its own address", "shop/pods")
    ]
    assert [row["policy"] for row in facts["policies"]] == ["AuthorizationPolicy shop/p"]


@pytest.mark.parametrize("kind", ["service", "serviceentry", "pod", "namespace"])
def test_what_is_not_there(shop: Path, kind: str):
    where = [] if kind == "namespace" else ["-n", "shop"]
    result = run(kind, "lost", *where, "-f", shop)
    assert (result.exit_code, "Error: there is no " in result.output) == (1, True)


def test_a_service_entry_is_described_as_a_service_is(tmp_path: Path):
    (tmp_path / "all.yaml").write_text(
        GATEWAY.format(name="waypoint", namespace="shop", labels="{}") + "---" + ENTRY
    )
    facts = told(tmp_path, "serviceentry", "api")
    assert (facts["kind"], facts["hosts"]) == ("ServiceEntry", ["api.example.com"])
    assert facts["addresses"][0].startswith("api.example.com 240.240.")
    assert (facts["waypoint"]["name"], facts["waypoint"]["bound"]) == ("shop/waypoint", True)
    http, dns = facts["ports"]
    assert http["routes"][0]["action"] == "to api.example.com:80"
    assert dns["routes"] == "not served: it is no TCP port"
    assert [one["target"] for one in facts["policies"]] == ["ServiceEntry api"]
    rows = told(tmp_path, "namespace", "shop")["services"]
    assert [(row["service"], row["bound"]) for row in rows] == [("api (ServiceEntry)", True)]
