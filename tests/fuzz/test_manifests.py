"""Manifests that are wrong in any way: never an exception, never a bad neighbour, always a word."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from translators.resources import Parsed, parse
from translators.resources.metadata import ObjectKey
from xds_server.sources.folder import load_folder, load_stream

ROOT = Path(__file__).parents[2]
Step = str | int

RICH = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: rich, namespace: n, labels: {a: b}, annotations: {c: d}, generation: 1}
spec:
  hostnames: [a.example]
  parentRefs: [{group: "", kind: Service, name: s, namespace: n, port: 80, sectionName: x}]
  rules:
  - name: r
    matches:
    - path: {type: Exact, value: /a}
      method: GET
      headers: [{type: Exact, name: h, value: v}]
      queryParams: [{type: Exact, name: q, value: v}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: a, value: b}], remove: [a]}
    - type: RequestMirror
      requestMirror: {backendRef: {name: s, port: 80}, fraction: {numerator: 1, denominator: 2}}
    - type: URLRewrite
      urlRewrite: {hostname: h, path: {type: ReplaceFullPath, replaceFullPath: /}}
    - {type: RequestRedirect, requestRedirect: {scheme: https, port: 443, statusCode: 301}}
    - {type: CORS, cors: {allowOrigins: ["*"], allowCredentials: true, maxAge: 5}}
    backendRefs: [{name: s, port: 80, weight: 1, filters: []}]
    timeouts: {request: 1s, backendRequest: 1s}
    retry: {codes: [500], attempts: 1, backoff: 1s}
    sessionPersistence: {type: Cookie, cookie: {name: c, lifetimeType: Session}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: rich, namespace: n}
spec:
  action: DENY
  targetRefs: [{group: "", kind: Service, name: s}]
  rules:
  - from: [{source: {principals: [a], notNamespaces: [b]}}]
    to: [{operation: {methods: [GET], paths: [/a]}}]
    when: [{key: source.ip, values: [10.0.0.1], notValues: [10.0.0.2]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: rich, namespace: n, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints:
- addresses: [10.0.0.1]
  conditions: {ready: true, serving: true, terminating: false}
  targetRef: {kind: Pod, name: p}
  hints: {forZones: [{name: z}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: rich, namespace: n}
spec:
  gatewayClassName: istio-waypoint
  listeners:
  - name: mesh
    port: 15008
    protocol: HBONE
    allowedRoutes:
      namespaces:
        from: Selector
        selector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: In, values: [b]}]}
status: {addresses: [{type: IPAddress, value: 10.0.0.1}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: rich, namespace: n}
spec:
  hostnames: [a.example]
  parentRefs: [{group: "", kind: Service, name: s}]
  rules:
  - matches: [{method: {type: Exact, service: s, method: m}, headers: [{name: h, value: v}]}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: GRPC, backendRef: {name: s}}}]
    backendRefs: [{name: s, port: 80, weight: 1}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: rich, namespace: n}
spec:
  hostnames: [a.example]
  parentRefs: [{group: "", kind: Service, name: s}]
  rules: [{name: r, backendRefs: [{name: s, port: 80, weight: 1}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: rich, namespace: n}
spec: {rules: [{backendRefs: [{name: s, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: rich, namespace: n}
spec: {from: [{group: "", kind: Service, namespace: o}], to: [{group: "", kind: S, name: s}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: rich, namespace: n}
spec:
  hosts: [a.example]
  addresses: [10.0.0.0/8, "::1"]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 81}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, ports: {http: 80}, labels: {a: b}, weight: 1}]
  workloadSelector: {labels: {a: b}}
  exportTo: ["*"]
  subjectAltNames: [x]
status: {addresses: [{host: a.example, value: 240.240.0.1}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: WorkloadEntry
metadata: {name: rich, namespace: n}
spec: {address: 10.0.0.1, ports: {http: 80}, serviceAccount: sa, locality: a/b, network: x}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: rich, namespace: n}
spec:
  targetRefs: [{kind: Service, name: s}]
  jwtRules:
  - issuer: i
    audiences: [a]
    jwks: "{}"
    fromHeaders: [{name: h, prefix: p}]
    fromParams: [x]
    outputClaimToHeaders: [{header: h, claim: c}]
    forwardOriginalToken: true
    timeout: 5s
"""
PROTECTING = {"AuthorizationPolicy", "RequestAuthentication"}


def deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1.5, float("inf"), "", "x" * 300_000, "\x00", "\ud800", "a\nb",
    "../..", "*", [], [None], [[]], ["x"] * 20_000, {}, {"": None}, {"x": "y"}, deep(60),
)  # fmt: skip
TYPED_JUNK = (*JUNK, {5: 6}, {None: []}, (), b"bytes", {1, 2}, object(), deep(100_000))


def real_manifests() -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted((ROOT / "examples").rglob("*.yaml"))]
    texts.append(RICH)
    found = [manifest for text in texts for manifest in yaml.safe_load_all(text)]
    return [manifest for manifest in found if not parse(manifest).ignored]


def places(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """All fields of a manifest but those that make its name."""
    steps = list(value) if isinstance(value, dict) else range(len(value))
    for step in steps:
        here = (*path, step)
        if here in NAMES:
            continue
        yield here
        if isinstance(value[step], dict | list):
            yield from places(value[step], here)


NAMES = {("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace")}


def replaced(manifest: Any, path: tuple[Step, ...], value: Any) -> Any:
    mutant = copy.deepcopy(manifest)
    owner = mutant
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = value
    return mutant


def removed(manifest: Any, path: tuple[Step, ...]) -> Any:
    mutant = replaced(manifest, path, None)
    owner = mutant
    for step in path[:-1]:
        owner = owner[step]
    del owner[path[-1]]
    return mutant


def mutants(junk: tuple[Any, ...]) -> Iterator[Any]:
    for manifest in real_manifests():
        for path in places(manifest):
            yield removed(manifest, path)
            for value in junk:
                yield replaced(manifest, path, value)


def key_of(manifest: Any) -> ObjectKey:
    meta = manifest["metadata"]
    default = "" if manifest["kind"] in ("Namespace", "GatewayClass") else "default"
    return ObjectKey(manifest["kind"], meta.get("namespace", default), meta["name"])


def check(parsed: Parsed) -> None:
    """What must hold of anything that was parsed."""
    for problem in parsed.problems:
        assert problem.reason
        assert problem.fix
        f"{problem.path} {problem.reason} {problem.fix}".encode()
    if parsed.value is None:
        assert parsed.problems or parsed.ignored
    else:
        assert parsed.key == parsed.value.key
        repr(parsed.value).encode()


def test_every_field_of_every_manifest_may_hold_anything() -> None:
    count = 0
    for mutant in mutants(TYPED_JUNK):
        parsed = parse(mutant)
        check(parsed)
        assert parsed.key == key_of(mutant)
        if mutant["kind"] in PROTECTING:
            assert parsed.value is not None, "must still protect"
        count += 1
    assert count > 5000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    max_leaves=30,
)


@given(JSON)
def test_parse_never_raises(value: Any) -> None:
    check(parse(value))


@given(
    st.sampled_from(["HTTPRoute", "Gateway", "GatewayClass"]),
    st.dictionaries(st.sampled_from(["rules", "parentRefs", "hostnames", "listeners"]), JSON),
)
def test_any_spec_is_read_without_an_exception(kind: str, spec: Any) -> None:
    manifest = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "spec": spec}
    check(parse(manifest | {"metadata": {"name": "a"}}))


@given(st.binary())
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    load_stream(data)


BOMB = b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n"


def bad_files() -> Iterator[bytes]:
    """Files that no object can be read from."""
    yield from (BOMB, b"[" * 300_000, b"{a: " * 300_000, b"- " * 5000, b"\xff\xfe", b"a: \xc3(")
    yield from (b"a: [", b"\x00", b"%TAG", b"!!python/name:os.system", b"? [a]\n: b", b"'", b"5")
    good = RICH.encode()
    for cut in range(100, len(good), 97):
        yield good[:cut] + b"\xff" + good[cut:]
        yield good[:cut] + b"\n\t\x01: [" + good[cut:]


def test_a_folder_of_bad_files_is_read_around_them(tmp_path: Path) -> None:
    names = []
    for index, data in enumerate(bad_files()):
        names.append(f"bad-{index:03}.yaml")
        (tmp_path / names[-1]).write_bytes(data)
        good = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: good-{index}}}\n"
        (tmp_path / f"good-{index:03}.yaml").write_text(good)
    objects, problems = load_folder(tmp_path)
    assert len(names) > 40
    assert len(objects) == len(names), "all good neighbours, and nothing else"
    assert {problem.file for problem in problems} == set(names)
    assert all(problem.reason for problem in problems)


@pytest.mark.parametrize("seed", range(2))
def test_mutants_in_a_folder_are_named_or_loaded(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed).sample([m for m in mutants(JUNK) if is_json(m)], 250)
    expected = {}
    for index, mutant in enumerate(chosen):
        mutant["metadata"]["name"] = f"m{index}"
        expected[f"m{index}.json"] = key_of(mutant)
        (tmp_path / f"m{index}.json").write_text(json.dumps(mutant))
    (tmp_path / "good.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: good}\n")
    objects, problems = load_folder(tmp_path)
    loaded = {value.key for value in objects}
    named = {(problem.file, problem.object) for problem in problems}
    assert ObjectKey("Namespace", "", "good") in loaded
    for file, key in expected.items():
        assert key in loaded or named & {(file, key), (file, None)}
    assert len(named) > 100


def is_json(value: Any) -> bool:
    return len(json.dumps(value)) < 1_000_000


@given(st.data())
def test_flipped_bytes(data: st.DataObject) -> None:
    text = bytearray(RICH.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    for problem in load_stream(bytes(text)).problems:
        assert problem.reason
        str(problem).encode()
