"""A root in a folder of this machine, or one that several machines share: files appear by one rename.

Apart from object stores, which have no renames.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zarr.storage import LocalStore

from storage.places import File, Place, staged_in


@dataclass(frozen=True)
class Folder(Place):
    """A folder, which need not exist before something settles in it."""

    path: Path

    def locate(self, name: str) -> str:
        """Return the path of a name."""
        return str(self.path / name)

    def check(self) -> None:
        """Do nothing: a folder that is not there yet is one that will be made."""

    def read(self, name: str) -> bytes:
        """Read a file."""
        try:
            return (self.path / name).read_bytes()
        except NotADirectoryError:
            raise FileNotFoundError(self.locate(name)) from None

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder."""
        try:
            return {path.name for path in (self.path / folder).iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def files(self, folder: str) -> Iterator[File]:
        """Walk down a folder; a link is a file of its own, and is not followed."""
        for below, folders, files in os.walk(self.path / folder):
            links = [name for name in folders if (Path(below) / name).is_symlink()]
            for name in (*files, *links):
                path = Path(below) / name
                with suppress(FileNotFoundError):  # it went while we looked
                    found = path.lstat()
                    yield File(path.relative_to(self.path).as_posix(), found.st_size, found.st_mtime)

    def settle(self, staged: Path, name: str, *, replace: bool) -> None:
        """Rename what is staged to its place."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if replace and target.is_dir():
            self.remove(name)
        with _unless_folder_exists(target):
            staged.replace(target)

    def remove(self, name: str) -> None:
        """Unlink a file, which takes no room on a full disk; rename a folder away, then remove it."""
        path = self.path / name
        if path.is_symlink() or not path.is_dir():
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            return
        with staged_in(self.staging) as trash, suppress(FileNotFoundError):
            path.replace(trash)

    @property
    def staging(self) -> Path:
        """A folder on the same disk, from which a rename works."""
        return self.path / "staging"

    def arrays(self) -> LocalStore:
        """Return the folder as a Zarr store."""
        return LocalStore(self.path, read_only=True)


@contextmanager
def _unless_folder_exists(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not target.is_dir():
            raise
