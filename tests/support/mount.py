"""A folder whose files change as those of a mounted Secret, ConfigMap or token do."""

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path


class Mount:
    """Names are links into ``..data``, which is itself a link that is swapped in one step."""

    def __init__(self, path: Path, files: Mapping[str, str | bytes]) -> None:
        self.path = path
        self._numbers = count()
        path.mkdir(parents=True)
        self.put(files)
        for name in files:
            self.file(name).symlink_to(Path("..data", name))

    def file(self, name: str) -> Path:
        """The path of a file as programs know it."""
        return self.path / name

    def put(self, files: Mapping[str, str | bytes]) -> None:
        """Replace all files at once; the names must be those of the beginning."""
        fresh = self.path / f"..{next(self._numbers)}"
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        link, current = self.path / "..data_tmp", self.path / "..data"
        old = current.resolve() if current.exists() else None
        link.symlink_to(fresh.name)
        link.replace(current)
        if old is not None:
            shutil.rmtree(old)
