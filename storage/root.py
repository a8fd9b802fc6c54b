"""A study's root folder: what lies where, and how an artefact appears whole or not at all.

Apart because every kind of artefact is published, found and forgotten in the same way.
"""

import errno
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Stage = Literal["networks", "segments", "grams", "profiles", "matches"]
STAGES: tuple[Stage, ...] = get_args(Stage)

FORMAT = 1
_SUFFIX: dict[Stage, str] = {
    "networks": "",
    "segments": ".zarr",
    "grams": ".zarr",
    "profiles": ".zarr",
    "matches": ".json",
}
_FORMAT_FILE = "spanmatch.json"


class DamagedArtefactError(ValueError):
    """A stored artefact is missing, incomplete, or not what was written.

    Attributes
    ----------
    stage, key
        Which artefact: together they name its folder under the root.
    reason
        What was found, in words.
    """

    def __init__(self, stage: Stage, key: str, reason: str) -> None:
        super().__init__(stage, key, reason)
        self.stage: Stage = stage
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.stage}/{self.key}: {self.reason}"


@dataclass(frozen=True)
class Root:
    """A study's root folder.

    ``<stage>/<key>.<kind>`` holds an artefact, ``cache/<stage>/<key>`` the cached result of the task that
    made it, ``staging`` what is being written, and the top level the results that people read.
    """

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> "Root":
        """Return the root at a path, relative to the current folder, without touching the disk."""
        return cls(Path(path).expanduser().resolve())

    @classmethod
    def prepare(cls, path: str | Path) -> "Root":
        """Make the folder where it is missing, see that it can be written, and clear what a kill left.

        Raises
        ------
        ValueError
            If the folder cannot be made or written, or belongs to another version's format.
        """
        root = cls.at(path)
        try:
            root.path.mkdir(parents=True, exist_ok=True)
            root._check_format()
            for stage in STAGES:
                root.cache.joinpath(stage).mkdir(parents=True, exist_ok=True)
            root._staging.mkdir(exist_ok=True)
            root._discard_abandoned()
        except OSError as error:
            message = (
                f"`root` must be a folder that can be written, got {str(root.path)!r} ({error.strerror}); "
                "choose another with --root or in the study"
            )
            raise ValueError(message) from None
        return root

    @property
    def cache(self) -> Path:
        """Where cached task results are kept."""
        return self.path / "cache"

    @property
    def _staging(self) -> Path:
        return self.path / "staging"

    def artefact(self, stage: Stage, key: str) -> Path:
        """Where an artefact lies once it is published."""
        return self.path / stage / f"{key}{_SUFFIX[stage]}"

    def record(self, stage: Stage, key: str) -> Path:
        """Where the cached result of the task that makes an artefact lies."""
        return self.cache / stage / key

    def relative(self, path: Path) -> str:
        """Return a path below the root as it is written in records: the root may be moved."""
        return path.relative_to(self.path).as_posix()

    @contextmanager
    def publish(self, target: Path, *, replace: bool = False) -> Iterator[Path]:
        """Yield a path to write a file or folder at; it becomes `target` by one rename when all went well.

        If the block raises, or the process is killed in it, nothing appears at `target`.

        Parameters
        ----------
        target
            Where it will be.
        replace
            Whether a folder that is there already makes way. By default it stays: an artefact's name is its
            identity, so that another run has published the same. A file is always replaced.
        """
        staged = self._stage_path()
        staged.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield staged
            target.parent.mkdir(parents=True, exist_ok=True)
            if replace and target.is_dir():
                self._discard(target)
            with _unless_folder_exists(target):
                staged.replace(target)
        finally:
            shutil.rmtree(staged.parent, ignore_errors=True)

    def write_text(self, target: Path, text: str) -> None:
        """Write a text file so that a reader sees the old one or the new one, never a part."""
        with self.publish(target) as staged:
            staged.write_text(text, encoding="utf-8")

    def forget(self, stage: Stage, key: str) -> None:
        """Remove an artefact and the cached result that vouches for it; the result first."""
        self.record(stage, key).unlink(missing_ok=True)
        self._discard(self.artefact(stage, key))

    def _stage_path(self) -> Path:
        owner = f"{socket.gethostname()}~{os.getpid()}~{uuid.uuid4().hex}"
        return self._staging / owner / "artefact"

    def _discard(self, path: Path) -> None:
        trash = self._stage_path()
        trash.parent.mkdir(parents=True)
        with suppress(FileNotFoundError):
            path.replace(trash)
        shutil.rmtree(trash.parent, ignore_errors=True)

    def _discard_abandoned(self) -> None:
        """Remove what processes of this host left in `staging` when they were killed."""
        for folder in self._staging.iterdir():
            host, _, rest = folder.name.partition("~")
            pid = rest.partition("~")[0]
            if host == socket.gethostname() and not (pid.isdigit() and _is_alive(int(pid))):
                shutil.rmtree(folder, ignore_errors=True)

    def _check_format(self) -> None:
        marker = self.path / _FORMAT_FILE
        if not marker.exists():
            marker.write_text(json.dumps({"format": FORMAT}) + "\n", encoding="utf-8")
            return
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))["format"]
        except (ValueError, KeyError, TypeError):
            found = "unreadable"
        if found != FORMAT:
            message = (
                f"`root` must have storage format {FORMAT}, got {found!r} in {str(marker)!r}; "
                "use the version of spanmatch that made it, or another root"
            )
            raise ValueError(message)


@contextmanager
def _unless_folder_exists(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not target.is_dir():
            raise


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
