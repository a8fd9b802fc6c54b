"""What lies under a root, item by item, with sizes: for those who clear away what nothing refers to.

Apart because running a study never lists what is there; it knows the names of what it wants.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from typing_extensions import TypeIs

from storage.places import File, abandoned
from storage.root import STAGES, Root, Stage

Kind = Stage | Literal["training", "settings", "staging"]
# In the order in which they are cleared: what stands on others first, so that a kill leaves a root that a run
# could have left.
KINDS: tuple[Kind, ...] = ("staging", "settings", "training", *reversed(STAGES))

_KEY = re.compile(r"[0-9a-f]{64}")
# What spanmatch writes inside an artefact's folder; anything else there is somebody's own.
_WEIGHTS = re.compile(r"[^/]+\.safetensors")
_GROUP = re.compile(r"manifest\.json|(.+/)?zarr\.json|.+/c(/\d+)*")

# What is one file, and has no cached result beside it.
_LONE: dict[Kind, str] = {"training": "training/{}.safetensors", "settings": "cache/settings/{}"}


@dataclass(frozen=True)
class Item:
    """An artefact with its cached result, a training state, what was looked up, or what a kill left.

    Attributes
    ----------
    kind, key
        What it is; of what a kill left, the key is its path on this machine.
    size
        Bytes of all its files.
    modified
        When the newest of them was written, as Unix time.
    foreign
        A file among them that spanmatch does not write, or None.
    """

    kind: Kind
    key: str
    size: int
    modified: float
    foreign: str | None = None

    def discard(self, root: Root) -> None:
        """Remove it, the cached result before the artefact that this vouches for."""
        if self.kind == "staging":
            shutil.rmtree(self.key, ignore_errors=True)
        elif _is_stage(self.kind):
            root.forget(self.kind, self.key)
        else:
            root.place.remove(_LONE[self.kind].format(self.key))


def inventory(root: Root) -> list[Item]:
    """List all that spanmatch keeps below a root, but for the results that people read.

    Files that have no name of spanmatch's are passed over.

    Raises
    ------
    UnusableRootError
        If an object store does not answer.
    """
    found: dict[tuple[Kind, str], list[File]] = {}
    for kind, key, file in _named(root):
        found.setdefault((kind, key), []).append(file)
    items = [_item(root, kind, key, files) for (kind, key), files in found.items()]
    return [*items, *(_left(folder) for folder in abandoned(root.place.staging))]


def _named(root: Root) -> Iterator[tuple[Kind, str, File]]:
    """Yield every file that has a key in its name, with the kind and the key."""
    for stage in STAGES:
        suffix = PurePosixPath(root.artefact(stage, "key")).suffix
        for folder, ending in ((stage, suffix), (f"cache/{stage}", "")):
            yield from _keyed(root, stage, folder, ending)
    yield from _keyed(root, "training", "training", ".safetensors")
    yield from _keyed(root, "settings", "cache/settings", "")


def _keyed(root: Root, kind: Kind, folder: str, ending: str) -> Iterator[tuple[Kind, str, File]]:
    for file in root.place.files(folder):
        top = file.name.removeprefix(f"{folder}/").partition("/")[0]
        key = top.removesuffix(ending)
        if key + ending == top and _KEY.fullmatch(key):
            yield kind, key, file


def _item(root: Root, kind: Kind, key: str, files: list[File]) -> Item:
    strange = (file.name for file in files if not _is_ours(root, kind, key, file.name))
    return Item(
        kind, key, sum(file.size for file in files), max(file.modified for file in files), next(strange, None)
    )


def _is_ours(root: Root, kind: Kind, key: str, name: str) -> bool:
    if not _is_stage(kind):
        return name == _LONE[kind].format(key)
    artefact = root.artefact(kind, key)
    inside = _WEIGHTS if kind == "networks" else _GROUP
    below = name.removeprefix(f"{artefact}/")
    return name in (artefact, root.record(kind, key)) or (below != name and bool(inside.fullmatch(below)))


def _is_stage(kind: Kind) -> TypeIs[Stage]:
    return kind in STAGES


def _left(folder: Path) -> Item:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Item("staging", str(folder), sum(path.lstat().st_size for path in files), 0.0)
