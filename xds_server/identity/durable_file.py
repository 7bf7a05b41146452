"""Files that a crash leaves either as they were or complete."""

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def create_durably(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet and wait until it is on disk.

    ``mode`` holds from the first byte on and whatever the umask is. Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def replace_durably(path: Path, content: bytes, mode: int) -> None:
    """Write or replace a file; a reader sees the old or the new content. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as draft:
        create_durably(Path(draft, path.name), content, mode)
        Path(draft, path.name).replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
