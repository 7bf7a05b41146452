"""The authority on disk: made once, then loaded and checked at every start.

The files are named as in Istio's ``cacerts``, so a root or an intermediate of one's own is put
there in the same way: ``ca-cert.pem`` (issuer), ``ca-key.pem``, ``root-cert.pem`` (one or more
roots) and, for an intermediate, ``cert-chain.pem``.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from xds_server.identity.authority import (
    Authority,
    AuthorityError,
    SigningKey,
    create_authority,
)
from xds_server.identity.durable_file import PRIVATE, PUBLIC, create_durably, sync_directory

ISSUER_FILE = "ca-cert.pem"
KEY_FILE = "ca-key.pem"
CHAIN_FILE = "cert-chain.pem"
ROOTS_FILE = "root-cert.pem"
FILES = (ISSUER_FILE, KEY_FILE, CHAIN_FILE, ROOTS_FILE)
_MAX_SIZE = 1 << 20

# A new authority is written to a draft, renamed to _COMMITTED as a whole, and only then moved to
# its place file by file. Whoever comes after a crash throws a draft away and ends a move.
_DRAFT_PREFIX = ".draft-"
_COMMITTED = ".committed"


def open_authority(directory: Path, now: datetime) -> Authority:
    """The authority in ``directory``, made now if there is none, and verified to work at ``now``.

    Any number of processes may do this at once; all get the same authority. Raises AuthorityError
    if files are missing, unreadable, readable by others, expired, or do not fit each other.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(directory):
            _move_committed(directory)
            if not any((directory / name).exists() for name in FILES):
                _create(directory, now)
            authority = _load(directory)
        authority.verify(now)
    except (AuthorityError, OSError) as error:
        raise AuthorityError(f"CA in {directory}: {error}") from error
    return authority


def load_authority(directory: Path, now: datetime) -> Authority:
    """The authority that is in ``directory``, which is left as it is.

    Raises AuthorityError as ``open_authority`` does, and if there is none.
    """
    try:
        authority = _load(directory)
        authority.verify(now)
    except (AuthorityError, OSError) as error:
        raise AuthorityError(f"CA in {directory}: {error}") from error
    return authority


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel drops if we die."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(directory: Path, now: datetime) -> None:
    directory.chmod(0o700)
    for abandoned in directory.glob(f"{_DRAFT_PREFIX}*"):
        shutil.rmtree(abandoned)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=directory))
    _write(draft, create_authority(now))
    sync_directory(draft)
    draft.rename(directory / _COMMITTED)
    sync_directory(directory)
    _move_committed(directory)


def _write(directory: Path, authority: Authority) -> None:
    key = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    issuer = authority.issuer.public_bytes(Encoding.PEM)
    create_durably(directory / KEY_FILE, key, PRIVATE)
    create_durably(directory / ISSUER_FILE, issuer, PUBLIC)
    create_durably(directory / ROOTS_FILE, authority.trust_bundle(), PUBLIC)


def _move_committed(directory: Path) -> None:
    committed = directory / _COMMITTED
    if not committed.exists():
        return
    for file in committed.iterdir():
        if (directory / file.name).exists():  # somebody put a CA of their own here meanwhile
            raise AuthorityError(f"{file.name} is both here and in {_COMMITTED}; remove one")
        file.replace(directory / file.name)
    sync_directory(directory)
    committed.rmdir()


def _load(directory: Path) -> Authority:
    _refuse_writable_by_others(directory)
    chain = directory / CHAIN_FILE
    issuer, *above = _read_certificates(directory / ISSUER_FILE)
    return Authority(
        issuer,
        _read_key(directory / KEY_FILE),
        (*above, *(_read_certificates(chain) if chain.exists() else ())),
        tuple(dict.fromkeys(_read_certificates(directory / ROOTS_FILE))),
    )


def _read_certificates(path: Path) -> list[x509.Certificate]:
    content, _ = _read(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise AuthorityError(f"{path.name} does not hold PEM certificates") from error


def _read_key(path: Path) -> SigningKey:
    content, status = _read(path)
    # As PostgreSQL does it: a file of root's may be lent to a group, which is how Kubernetes hands
    # a Secret to a process that is not root.
    if status.st_mode & (0o037 if status.st_uid == 0 else 0o077):
        mode = stat.S_IMODE(status.st_mode)
        raise AuthorityError(
            f"{path.name} has mode {mode:04o}, others can read it; chmod it to 0600"
        )
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause is dropped: nothing about the content of a key belongs in a traceback.
        raise AuthorityError(f"{path.name} does not hold an unencrypted PEM private key") from None
    return _require_usable(key, path)


def _require_usable(key: object, path: Path) -> SigningKey:
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1() | ec.SECP384R1()):
            return key
        case rsa.RSAPrivateKey(key_size=size) if size >= 2048:
            return key
        case _:
            raise AuthorityError(f"{path.name} is not an EC P-256, EC P-384 or RSA (2048+) key")


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """A file and the status of the very file that was read."""
    try:
        with path.open("rb") as file:
            content, status = file.read(_MAX_SIZE + 1), os.fstat(file.fileno())
    except FileNotFoundError as error:
        raise AuthorityError(f"{path.name} is missing") from error
    if len(content) > _MAX_SIZE:
        raise AuthorityError(f"{path.name} is larger than {_MAX_SIZE} bytes")
    return content, status


def _refuse_writable_by_others(directory: Path) -> None:
    mode = stat.S_IMODE(directory.stat().st_mode)
    # In a sticky directory, such as the mount of a Secret, others can't replace our files.
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise AuthorityError(f"the directory has mode {mode:04o}, others can write to it")
