"""TLS in front of a plain server on loopback, with a certificate authority that can change."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_HOST = "127.0.0.1"


class ServerAuthority:
    """A CA of its own, and one certificate of it for 127.0.0.1; files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.roots, self._chain, self._key = (folder / name for name in ("ca", "chain", "key"))
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name, name = _name("test root"), _name("test server")
        root = _certificate(root_name, root_name, root_key, root_key, is_ca=True)
        leaf = _certificate(name, root_name, key, root_key, is_ca=False)
        self.roots.write_bytes(root.public_bytes(Encoding.PEM))
        self._chain.write_bytes(leaf.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key.write_bytes(private)

    def context(self) -> ssl.SSLContext:
        """What a server listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain, self._key)
        return context


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(issuer_id, critical=False)
    usage = x509.KeyUsage(*(flag in ((5, 6) if is_ca else (0,)) for flag in range(9)))
    builder = builder.add_extension(usage, critical=True)
    if not is_ca:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(_HOST))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@asynccontextmanager
async def tls_front(port: int, authority: ServerAuthority, own_port: int = 0) -> AsyncIterator[int]:
    """Forward to a port what comes in through TLS; gives the port to connect to."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(_HOST, port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, inner_writer))
                tasks.create_task(_copy(inner_reader, writer))
        finally:
            inner_writer.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(forward, _HOST, own_port, ssl=authority.context())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
