"""A root in a folder of this machine, or one that several machines share: files appear by one rename."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zarr.storage import LocalStore

from storage.places import File, Place, UnreachableRootError, UnusableRootError, is_full, staged_in

_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
# What a file server that is away, or a disk that fails, says: it may pass.
_AWAY = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
}


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
            with self._usable():
                return (self.path / name).read_bytes()
        except (NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(self.locate(name)) from None

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder."""
        try:
            with self._usable():
                return {path.name for path in (self.path / folder).iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def folders(self, folder: str) -> set[str]:
        """Return the names of the folders in a folder."""
        return {name for name in self.names(folder) if (self.path / folder / name).is_dir()}

    def files(self, folder: str) -> Iterator[File]:
        """Walk down a folder; a link is a file of its own, and is not followed."""
        for below, folders, files in os.walk(self.path / folder, onerror=self._unless_absent):
            links = [name for name in folders if (Path(below) / name).is_symlink()]
            for name in (*files, *links):
                path = Path(below) / name
                with suppress(FileNotFoundError):  # it went while we looked
                    found = path.lstat()
                    yield File(path.relative_to(self.path).as_posix(), found.st_size, found.st_mtime)

    def settle(self, staged: Path, name: str, *, replace: bool) -> None:
        """Rename what is staged to its place."""
        target = self.path / name
        with self._usable():
            target.parent.mkdir(parents=True, exist_ok=True)
            if replace and target.is_dir():
                self.remove(name)
            with _unless_folder_exists(target):
                staged.replace(target)

    def remove(self, name: str) -> None:
        """Unlink a file, which takes no room on a full disk; rename a folder away, then remove it."""
        path = self.path / name
        with self._usable(), suppress(FileNotFoundError, NotADirectoryError):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
            else:
                with staged_in(self.staging) as trash:
                    path.replace(trash)

    @property
    def staging(self) -> Path:
        """A folder on the same disk, from which a rename works."""
        return self.path / "staging"

    def free(self) -> int | None:
        """Return how many bytes are free on the disk, for whoever writes as this process may."""
        existing = next(path for path in (self.path, *self.path.parents) if path.exists())
        return shutil.disk_usage(existing).free

    def arrays(self) -> LocalStore:
        """Return the folder as a Zarr store."""
        return LocalStore(self.path, read_only=True)

    def trouble(self, error: BaseException | None) -> UnusableRootError | None:
        """Tell a file that cannot be read, or written, from one that is not there."""
        while error is not None:
            if isinstance(error, OSError) and error.errno is not None and not isinstance(error, _ABSENT):
                return self._refused(error)
            error = error.__cause__ or error.__context__
        return None

    def _refused(self, error: OSError) -> UnusableRootError:
        kind = UnreachableRootError if error.errno in _AWAY else UnusableRootError
        file = f": {error.filename}" if error.filename else ""
        return kind(
            f"`root` must be a folder that can be read and written, got {str(self.path)!r} "
            f"({error.strerror}{file}); see to its permissions and its disk, or choose another with --root "
            "or in the study; what is stored there is kept"
        )

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not is_full(error) and (trouble := self.trouble(error)):
                raise trouble from error
            raise

    def _unless_absent(self, error: OSError) -> None:
        if trouble := self.trouble(error):
            raise trouble from error


@contextmanager
def _unless_folder_exists(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not target.is_dir():
            raise
