"""An issuer of tokens: signs them, and serves its keys over TLS."""

import base64
import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ROOTS = "public-roots.pem"
"""The file of the roots that waypoints verify key servers against."""


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs with one P-256 key."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwks(self) -> str:
        """The key set that verifies its tokens."""
        point = self._key.public_key().public_numbers()
        x, y = (encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y}]})

    def token(self, **claims: Any) -> str:
        """A signed token, valid for an hour unless ``exp`` says something else."""
        given = {"iss": self.name, "sub": "alice", "exp": int(time.time()) + 3600, **claims}
        head = self._part({"alg": "ES256", "typ": "JWT"})
        signed = f"{head}.{self._part(given)}"
        der = self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def unsigned(self, **claims: Any) -> str:
        """A token that says that it needs no signature (``alg: none``)."""
        given = {"iss": self.name, "sub": "alice", "exp": int(time.time()) + 3600, **claims}
        return f"{self._part({'alg': 'none', 'typ': 'JWT'})}.{self._part(given)}."

    def _part(self, value: Any) -> str:
        return encode(json.dumps(value).encode())


class KeyServer:
    """Serves an issuer's keys at ``https://ip:port/jwks``; ``asked`` counts the requests."""

    def __init__(self, issuer: Issuer, ip: str, chain: Path) -> None:
        self.asked = 0
        self._issuer = issuer
        self._ip = ip
        self._chain = chain
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def uri(self) -> str:
        return f"https://{self._ip}:{self.port}/jwks"

    async def start(self) -> None:
        """Listen; again on the same port if it was stopped."""
        app = web.Application()
        app.router.add_get("/jwks", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        await web.TCPSite(self._runner, self._ip, self.port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse connections, and end the open ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.Response(text=self._issuer.jwks, content_type="application/json")


def write_server_certificate(ip: str, chain: Path, roots: Path) -> None:
    """A self-signed certificate for an address, with its key, and the roots that trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "key server")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(ip))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(pem + secret)
    roots.write_bytes(pem)
