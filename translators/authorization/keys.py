"""Key sets written into a policy (JWKS, RFC 7517): the keys in them that a proxy can use.

Envoy refuses a key set without a usable key, and with it the issuers of everybody else, so what
is passed on is made anew from keys that it surely takes.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_FIELDS = ("kty", "kid", "use", "alg", "crv", "x", "y", "n", "e", "k")
_MIN_RSA, _MAX_RSA = 1024, 8192  # bits
_MAX_EXPONENT = 1 << 32

# Of each curve y^2 = x^3 - 3x + b: the field's prime, and b (NIST SP 800-186).
_CURVES = {
    "P-256": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    "P-384": (
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    "P-521": (
        2**521 - 1,
        0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}
_EC_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")

Key = Mapping[str, str]


def usable_keys(jwks: str) -> str | None:
    """The key set with just the keys that a proxy can use; None if there are none."""
    try:
        document = json.loads(jwks)
    except (ValueError, RecursionError):
        return None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    keys = [_texts(key) for key in listed if isinstance(key, dict)]
    usable = [key for key in keys if _is_usable(key)]
    return json.dumps({"keys": usable}) if usable else None


def _texts(key: Mapping[object, object]) -> dict[str, str]:
    """The fields that proxies know, as far as they are texts; others don't matter to them."""
    return {name: value for name in _FIELDS if isinstance(value := key.get(name), str)}


def _is_usable(key: Key) -> bool:
    match key.get("kty"):
        case "RSA":
            return _has_algorithm(key, _RSA_ALGORITHMS) and _is_rsa(key)
        case "EC":
            known = _EC_ALGORITHMS.get(key.get("crv", ""))
            return known is not None and _has_algorithm(key, (known,)) and _is_on_curve(key)
        case "OKP":
            ed25519 = key.get("crv") == "Ed25519" and _has_algorithm(key, ("EdDSA",))
            return ed25519 and len(_bytes(key, "x")) == 32
        case "oct":
            return _has_algorithm(key, _SECRET_ALGORITHMS) and len(_bytes(key, "k")) >= 16
        case _:
            return False


def _has_algorithm(key: Key, known: tuple[str, ...]) -> bool:
    return key.get("alg", known[0]) in known


def _is_rsa(key: Key) -> bool:
    modulus, exponent = _number(key, "n"), _number(key, "e")
    sound = modulus % 2 == 1 and _MIN_RSA <= modulus.bit_length() <= _MAX_RSA
    return sound and exponent % 2 == 1 and 1 < exponent < _MAX_EXPONENT


def _is_on_curve(key: Key) -> bool:
    prime, constant = _CURVES[key["crv"]]
    x, y = _number(key, "x"), _number(key, "y")
    return x < prime and 0 < y < prime and (y * y - x * x * x + 3 * x - constant) % prime == 0


def _number(key: Key, name: str) -> int:
    return int.from_bytes(_bytes(key, name), "big")


def _bytes(key: Key, name: str) -> bytes:
    """A field in base64url without padding (RFC 7515); nothing if it is none."""
    text = key.get(name, "")
    if not _BASE64URL.fullmatch(text):
        return b""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""
