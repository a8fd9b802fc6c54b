"""A study's root: a folder or a prefix of an object store, in which files appear whole or not at all."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.bucket import Bucket
from storage.folder import Folder
from storage.places import Place, UnusableRootError, discard_abandoned, is_full, staged_in

# Format 1 had all layers of a segment in one group; format 2 a file for each record, Gram matrix, profile and
# match. Networks and activations of both read the same.
FORMAT = 3
_OLDEST_FORMAT = 1
_FORMAT_FILE = "spanmatch.json"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class Artefact:
    """Something published: what names it, and the digest that the record of its making holds.

    Attributes
    ----------
    stage, key
        Of the unit whose result it is.
    name
        Where it lies below the root; several small ones may share a file.
    digest
        Of its content.
    """

    stage: str
    key: str
    name: str
    digest: str


class DamagedArtefactError(Exception):
    """A stored artefact is missing, incomplete, or not what was written.

    Attributes
    ----------
    stage, key
        Of the unit whose result it is.
    name
        Where it lies below the root.
    reason
        What was found, in words.
    """

    def __init__(self, artefact: Artefact, reason: str) -> None:
        super().__init__(artefact, reason)
        self.stage = artefact.stage
        self.key = artefact.key
        self.name = artefact.name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class DamagedArtefactsError(Exception):
    """Several stored artefacts that one job stands on are damaged.

    Attributes
    ----------
    damages
        One error for each.
    """

    def __init__(self, damages: Sequence[DamagedArtefactError]) -> None:
        super().__init__(damages)
        self.damages = tuple(damages)

    def __str__(self) -> str:
        return "; ".join(map(str, self.damages))


def is_url(where: str) -> bool:
    """Tell whether a root is named by a URL, not by a path."""
    return _URL.match(where) is not None


@dataclass(frozen=True)
class Root:
    """A study's root, a folder or a URL.

    ``<stage>/…`` holds artefacts, ``cache/<stage>/…`` the records of the units that made them,
    ``cache/settings`` what was looked up, and the top level the results that people read. Files are named by
    their place below the root, with slashes.
    """

    place: Place

    @classmethod
    def at(cls, where: str | Path) -> "Root":
        """Return the root at a URL, or at a path relative to the current folder, without looking there.

        Raises
        ------
        SpanmatchError
            If it can be no path, or the URL is of no kind that is known, or not one of a bucket and a prefix.
        """
        if isinstance(where, str) and is_url(where):
            return cls(Bucket(where.rstrip("/")))
        try:
            return cls(Folder(Path(where).expanduser().resolve()))
        except (OSError, ValueError, RuntimeError) as error:  # no such user, no current folder, a NUL
            raise UnusableRootError(
                f"`root` must be the path of a folder, got {str(where)!r} ({error}); correct it"
            ) from None

    @classmethod
    def prepare(cls, where: str | Path) -> "Root":
        """Make the root where it is missing, see that it can be written, and clear what a kill left.

        Raises
        ------
        UnusableRootError
            If it cannot be made or written, does not answer, or belongs to a newer version's format.
        """
        root = cls.at(where)
        root.check()
        try:
            root.write_text(_FORMAT_FILE, json.dumps({"format": FORMAT}) + "\n")
            discard_abandoned(root.place.staging)
        except OSError as error:
            raise root._unusable("a folder that can be written", error.strerror or str(error)) from None
        return root

    def check(self) -> None:
        """See that the root answers and that this version can read it, changing nothing.

        Raises
        ------
        UnusableRootError
            If not.
        """
        self.place.check()
        found = self._written_format()
        if found is None or (isinstance(found, int) and _OLDEST_FORMAT <= found <= FORMAT):
            return
        message = (
            f"`root` must have storage format {FORMAT} or older, got {found} in "
            f"{self.where(_FORMAT_FILE)!r}; use the version of spanmatch that wrote it, or another root"
        )
        raise UnusableRootError(message)

    @property
    def is_older(self) -> bool:
        """Whether an earlier version wrote the root, in another form."""
        found = self._written_format()
        return isinstance(found, int) and found < FORMAT

    def _written_format(self) -> int | str | None:
        try:
            found = json.loads(self.place.read(_FORMAT_FILE))["format"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return "an unreadable one"
        return found if isinstance(found, int) else "an unreadable one"

    @property
    def exists(self) -> bool:
        """Whether a run has prepared the root."""
        return _FORMAT_FILE in self.place.names("")

    def where(self, name: str = "") -> str:
        """Return the path or URL of a name, for people."""
        return self.place.locate(name)

    @contextmanager
    def publish(self, name: str, *, replace: bool = False) -> Iterator[Path]:
        """Yield a local path to build a file or folder at; it appears under `name` when all went well.

        If the block raises, or the process is killed in it, nothing appears.

        Parameters
        ----------
        name
            What it will be called.
        replace
            Whether a folder that is there already makes way. By default it stays: an artefact's name is its
            identity, so that another run has published the same. A file is always replaced.

        Raises
        ------
        UnusableRootError
            If there is no room for it, it cannot be written, or an object store does not answer.
        """
        try:
            with staged_in(self.place.staging) as staged:
                yield staged
                self.place.settle(staged, name, replace=replace)
        except Exception as error:
            if is_full(error) and not isinstance(error, UnusableRootError):
                staging = self.place.staging
                message = (
                    f"`root` must have room for {name}, but nothing more can be written to {str(staging)!r}; "
                    "free some space or choose another root: what was there before is kept, "
                    "and the same command goes on from there"
                )
                raise UnusableRootError(message) from error
            if isinstance(error, OSError) and self._is_ours(error):
                raise self._unusable("a folder that can be written", error.strerror or str(error)) from error
            raise

    def read(self, name: str) -> bytes:
        """Read a file whole; FileNotFoundError where there is none."""
        return self.place.read(name)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file so that a reader sees the old one or the new one, never a part."""
        with self.publish(name) as staged:
            staged.write_text(text, encoding="utf-8")

    def _is_ours(self, error: OSError) -> bool:
        """Tell whether an error is of a file of the root, and not of one that is read for it."""
        places = (self.place.staging, Path(self.where()))
        return error.filename is not None and any(
            Path(os.fsdecode(error.filename)).is_relative_to(place) for place in places
        )

    def _unusable(self, rule: str, reason: str) -> UnusableRootError:
        return UnusableRootError(
            f"`root` must be {rule}, got {self.where()!r} ({reason}); "
            "choose another with --root or in the study"
        )
