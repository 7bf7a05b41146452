"""The certificate authority: whether it works, and for how long yet."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from xds_server.identity.authority import Authority, AuthorityError
from xds_server.identity.authority_store import load_authority
from xds_server.preflight.report import Check, Section, error, warning
from xds_server.status.objects import Manifest, Objects, Refused

_SOON = timedelta(days=30)
_MAKE = (
    "Make one: waypost ca init ca, then kubectl create secret generic {} --namespace {}"
    " --from-file ca"
)


def check_folder(directory: Path) -> Section:
    """The CA in a folder, which is not changed."""
    hint = f"waypost ca init {directory} makes one in an empty folder."
    return _section(directory, f"the CA in {directory} works", hint)


async def check_secret(objects: Objects, namespace: str, name: str) -> Section:
    """The CA in a Secret. Raises ``TransportError``."""
    description = f"the CA in Secret {namespace}/{name} works"
    make = _MAKE.format(name, namespace)
    try:
        secret = await objects.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except Refused as refused:
        if refused.code == 404:
            check = error(description, "there is no such Secret", make)
        else:
            check = warning(description, str(refused), "Ask somebody who may read it.")
        return Section("certificates", (check,))
    with TemporaryDirectory() as folder:
        try:
            _unpack(secret, Path(folder))
        except (binascii.Error, ValueError, TypeError) as problem:
            return Section("certificates", (error(description, str(problem), make),))
        return _section(Path(folder), description, make)


def _unpack(secret: Manifest, folder: Path) -> None:
    """Write what is in a Secret as files that only we can read. Raises ValueError."""
    for name, content in (secret.get("data") or {}).items():
        path = folder / Path(name).name
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(content, validate=True))


def _section(directory: Path, description: str, hint: str) -> Section:
    now = datetime.now(UTC)
    try:
        authority = load_authority(directory, now)
    except AuthorityError as problem:
        reason = str(problem).removeprefix(f"CA in {directory}: ")
        return Section("certificates", (error(description, reason, hint),))
    return Section("certificates", (Check(description), _judge_age(authority, now)))


def _judge_age(authority: Authority, now: datetime) -> Check:
    certificates = (authority.issuer, *authority.intermediates, *authority.roots)
    first = min(each.not_valid_after_utc for each in certificates)
    description = "its certificates are good for a while yet"
    if first - now < _SOON:
        reason = f"the first of them expires at {first:%Y-%m-%d %H:%M} UTC"
        hint = "Put a new issuer into it, below a root that all peers trust by then."
        return warning(description, reason, hint)
    return Check(f"{description} (until {first:%Y-%m-%d})")
