"""The operations that a root needs of a folder or an object store.

A place does not know what is kept in it.
"""

import errno
import os
import re
import shutil
import socket
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from zarr.abc.store import Store

from spanmatch.errors import SpanmatchError

# No room on the disk, none in the user's quota, or a file beyond the process's limit.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_BY_RUST = tuple(f"(os error {number})" for number in sorted(_FULL))  # safetensors' errors have no errno


# How `staged_in` calls a folder: which process of which host builds there.
_STAGED = re.compile(r"(?P<host>[^~]+)~(?P<pid>\d+)~[0-9a-f]{32}")
# What no process has written to for so long is not being built any more, on whatever host.
_ABANDONED_SECONDS = 24 * 3600


class UnusableRootError(SpanmatchError):
    """A study's root cannot be read or written; what is stored is not at fault, and nothing is lost."""


class UnreachableRootError(UnusableRootError):
    """A study's root does not answer; it may later."""


class File(NamedTuple):
    """A file by its name below the place, its size in bytes, and when it was last written (Unix time)."""

    name: str
    size: int
    modified: float


class Place(ABC):
    """Files by name below one folder or URL. Names have slashes between their parts."""

    @abstractmethod
    def locate(self, name: str) -> str:
        """Return where a name is found, for people."""

    @abstractmethod
    def check(self) -> None:
        """See that the place answers, changing nothing.

        Raises
        ------
        UnusableRootError
            If it does not.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        UnusableRootError
            If the place does not answer, or the file cannot be read.
        """

    @abstractmethod
    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder, without the folder; none where there is no folder."""

    @abstractmethod
    def folders(self, folder: str) -> set[str]:
        """Return the names of the folders in a folder, without it; none where there is no folder."""

    @abstractmethod
    def files(self, folder: str) -> Iterator[File]:
        """List all files below a folder, however deep; none where there is no folder."""

    @abstractmethod
    def settle(self, staged: Path, name: str, *, replace: bool) -> None:
        """Let a local file or folder appear under a name, whole or not at all.

        A folder that is there already stays, or makes way if `replace`; a file is always replaced.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file or folder, if there is one; a reader finds all of it or no longer its manifest."""

    @property
    @abstractmethod
    def staging(self) -> Path:
        """The local folder in which files are built before they settle."""

    def free(self) -> int | None:
        """Return how many bytes there is room for; None where nobody can tell."""
        return None

    @abstractmethod
    def arrays(self) -> Store:
        """Return the place as a Zarr store that can only be read."""

    @abstractmethod
    def trouble(self, error: Exception) -> UnusableRootError | None:
        """Return what to raise in place of an error that says nothing of what is stored."""


@contextmanager
def staged_in(staging: Path) -> Iterator[Path]:
    """Yield a path below `staging` for a file or folder to be built at; what is left there is removed."""
    folder = staging / f"{socket.gethostname()}~{os.getpid()}~{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True)
        yield folder / "artefact"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard_abandoned(staging: Path) -> None:
    """Remove what processes left in `staging` when they were killed."""
    for folder in abandoned(staging):
        shutil.rmtree(folder, ignore_errors=True)


def abandoned(staging: Path) -> list[Path]:
    """Return the folders in `staging` that nobody builds in any more.

    A process of this host is known to be gone; of another host's, that nothing was written for a day says so.
    """
    if not staging.is_dir():
        return []
    return [folder for folder in staging.iterdir() if _is_abandoned(folder)]


def _is_abandoned(folder: Path) -> bool:
    staged = _STAGED.fullmatch(folder.name)
    if staged is None:
        return False
    if staged["host"] == socket.gethostname() and not _is_alive(int(staged["pid"])):
        return True
    return time.time() - _last_written(folder) > _ABANDONED_SECONDS


def _last_written(folder: Path) -> float:
    """Return when anything in a folder was last written, as far as it is still there."""
    written = [0.0]
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):
            written.append(path.lstat().st_mtime)
    return max(written)


def is_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one behind it, means that there was no room for a file."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(mark in str(error) for mark in _FULL_BY_RUST):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
