"""RequestAuthentications as the model has them: keys that can be used, and what is wrong."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.manifests import service_entry
from translators.authorization.keys import usable_keys
from translators.authorization.tokens import token_problems, tokens_of
from translators.gateway_api import INDEXES
from translators.ir.authentication import InlineKeys, NoKeys, RemoteKeys
from translators.ir.cluster import ExternalCluster, ServiceCluster
from translators.ir.waypoint import Mesh
from translators.resources import parse
from translators.resources.requestauthentication import RequestAuthentication
from translators.world import Change, Reader, World


def number(value: int) -> str:
    size = (value.bit_length() + 7) // 8
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


POINT = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
EC_KEY = {"kty": "EC", "crv": "P-256", "x": number(POINT.x), "y": number(POINT.y)}
MODULUS = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
RSA_KEY = {"kty": "RSA", "n": number(MODULUS), "e": "AQAB", "alg": "RS256", "kid": "1"}
SECRET = {"kty": "oct", "k": number(1 << 255)}
JWKS = json.dumps({"keys": [EC_KEY]})


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY, SECRET, {**RSA_KEY, "x5c": ["..."]}])
def test_good_keys_are_kept_with_the_fields_that_proxies_know(key: dict[str, Any]):
    made = usable_keys(json.dumps({"keys": [{"kty": "x"}, key]}))
    assert made is not None
    assert json.loads(made)["keys"] == [{k: v for k, v in key.items() if isinstance(v, str)}]


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"kty": "EC"},
        {**EC_KEY, "y": number(POINT.y ^ 1)},
        {**EC_KEY, "x": "!"},
        {**EC_KEY, "crv": "P-192"},
        {**EC_KEY, "crv": "P-384"},
        {**EC_KEY, "alg": "RS256"},
        {**RSA_KEY, "n": number(MODULUS >> 1536)},
        {**RSA_KEY, "n": number(MODULUS - 1)},
        {**RSA_KEY, "e": "AQ"},
        {**RSA_KEY, "e": "AQAA"},
        {**RSA_KEY, "alg": "none"},
        {**RSA_KEY, "n": 5},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "oct", "k": "AAAA"},
    ],
)
def test_bad_keys_are_not(key: dict[str, Any]):
    assert usable_keys(json.dumps({"keys": [key]})) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"keys": {}}', '{"keys": []}', "[" * 90_000])
def test_what_is_no_key_set_has_none(text: str):
    assert usable_keys(text) is None


def policy(**rule: Any) -> RequestAuthentication:
    manifest = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "ra", "namespace": "shop"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
            "jwtRules": [{"issuer": "me", **rule}],
        },
    }
    found = parse(manifest).value
    assert isinstance(found, RequestAuthentication)
    return found


def made_of(policy: RequestAuthentication, *manifests: Any) -> Any:
    world = World(INDEXES)
    values = [parse(manifest).value for manifest in manifests]
    world.apply(Change(value.key, value) for value in values if value is not None)
    return tokens_of(Reader(world), Mesh(public_roots="/roots"), [policy])


def test_keys_in_the_manifest_need_no_server():
    made = made_of(policy(jwks=JWKS))
    assert made.authentication.providers[0].keys == InlineKeys(JWKS)
    assert made.upstreams == ()


def test_keys_from_outside_come_by_a_cluster_of_their_own_with_tls():
    made = made_of(policy(jwksUri="https://keys.example:8443/a?b=c", timeout="2s"))
    cluster = ExternalCluster("jwks|8443|https|keys.example", "keys.example", 8443, "/roots")
    assert made.upstreams == ((cluster, None),)
    (provider,) = made.authentication.providers
    assert provider.keys == RemoteKeys("https://keys.example:8443/a?b=c", cluster.name, 2000)


def test_keys_of_the_mesh_come_by_the_mesh():
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "keys", "namespace": "auth"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    }
    made = made_of(policy(jwksUri="http://keys.auth.svc.cluster.local/jwks"), service)
    ((cluster, destination),) = made.upstreams
    assert isinstance(cluster, ServiceCluster)
    assert (destination.namespace, destination.service, destination.port) == ("auth", "keys", 80)


@pytest.mark.parametrize(
    ("homes", "owner"),
    [
        (["shop"], "shop"),
        (["istio-system"], "istio-system"),
        (["elsewhere", "istio-system", "shop"], "shop"),
        (["elsewhere", "istio-system"], "istio-system"),
        (["elsewhere"], None),
    ],
)
def test_only_entries_that_are_trusted_say_where_keys_come_from(homes: list[str], owner: Any):
    entries = [
        service_entry("keys", home, "keys.example", resolution="STATIC", endpoints=[{}])
        for home in homes
    ]
    made = made_of(policy(jwksUri="http://keys.example/jwks"), *entries)
    ((cluster, destination),) = made.upstreams
    if owner is None:
        assert (type(cluster), destination) == (ExternalCluster, None)
    else:
        assert cluster.name == f"outbound|80|{owner}.keys-called-by-http|keys.example"
        assert (destination.kind, destination.namespace) == ("ServiceEntry", owner)


BAD = [
    ({}, "jwksUri"),
    ({"jwks": "{"}, "jwks"),
    ({"jwksUri": "file:///etc/passwd"}, "jwksUri"),
    ({"jwksUri": "https://"}, "jwksUri"),
    ({"jwksUri": "https://user:secret@a.example/"}, "jwksUri"),
    ({"jwksUri": "https://a.example:99999/"}, "jwksUri"),
    ({"jwksUri": "https://a.example/ x"}, "jwksUri"),
    ({"jwksUri": "https://a_b.example/"}, "jwksUri"),
    ({"jwks": JWKS, "timeout": "5"}, "timeout"),
    ({"jwks": JWKS, "fromHeaders": [{"name": ":path"}]}, "fromHeaders"),
    ({"jwks": JWKS, "outputPayloadToHeader": "host"}, "outputPayloadToHeader"),
    (
        {"jwks": JWKS, "outputClaimToHeaders": [{"header": "a b", "claim": "c"}]},
        "outputClaimToHeaders",
    ),
    ({"jwks": JWKS, "fromParams": [""]}, "fromParams"),
    ({"jwks": JWKS, "fromCookies": ["a b"]}, "fromCookies"),
    ({"jwks": JWKS, "audience": ["typo"]}, "audience"),
    ({"jwks": 5}, "jwks"),
]


@pytest.mark.parametrize(("rule", "field"), BAD)
def test_a_rule_that_cannot_be_used_keeps_its_issuer_and_loses_its_keys(
    rule: dict[str, Any], field: str
):
    bad = policy(**rule)
    (provider,) = made_of(bad).authentication.providers
    assert (provider.issuer, provider.keys) == ("me", NoKeys())
    paths = [path for path, _ in token_problems(bad)]
    assert any(path.startswith(f"spec.jwtRules[0].{field}") for path in paths)


def test_a_required_token_is_required():
    (provider,) = made_of(policy(jwks=JWKS, presence="REQUIRED")).authentication.providers
    assert provider.required
