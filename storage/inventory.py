"""The items under a root with their sizes, from which unused ones are found."""

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.packs import pack_of, repack
from storage.places import File, abandoned
from storage.records import Records, name_of
from storage.root import Root

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Kind:
    """Something that is kept by key, such as the artefacts of a stage.

    Attributes
    ----------
    name
        What people call it; of a stage, its name.
    files
        Where an item lies by its key, each with what may be in it, as a regular expression; of one file "".
    packed
        Whether the items of several keys share a file, named after all of them.
    recorded
        Whether each has a record, which is removed before it.
    """

    name: str
    files: tuple[tuple[str, str], ...]
    packed: bool = False
    recorded: bool = False


@dataclass(frozen=True)
class Item:
    """An artefact with its record, several in one file, a training's state, or what a kill left.

    Attributes
    ----------
    kind, key
        What it is; of what a kill left, the key is its path on this machine.
    size
        Bytes of all its files.
    modified
        When the newest of them was written, as Unix time.
    keys
        Of all units whose result it is: one, or those that share a file.
    foreign
        A file among them that spanmatch does not write, or None.
    """

    kind: Kind
    key: str
    size: int
    modified: float
    keys: frozenset[str]
    foreign: str | None = None


STAGING = Kind("staging", ())


def inventory(root: Root, kinds: Sequence[Kind]) -> list[Item]:
    """List all that is kept below a root, but for the results that people read.

    Files that have no name of spanmatch's are passed over.

    Raises
    ------
    UnusableRootError
        If an object store does not answer.
    """
    return [
        *(item for kind in kinds for item in _items(root, kind)),
        *map(_left, abandoned(root.place.staging)),
    ]


def discard(root: Root, items: Sequence[Item]) -> None:
    """Remove items, the records of a kind before the artefacts that these vouch for."""
    by_kind: dict[Kind, list[Item]] = defaultdict(list)
    for item in items:
        by_kind[item.kind].append(item)
    for kind, several in by_kind.items():
        if kind.recorded:
            Records(root).forget(kind.name, {key for item in several for key in item.keys})
        for item in several:
            if kind is STAGING:
                shutil.rmtree(item.key, ignore_errors=True)
            for pattern, _ in kind.files:
                root.place.remove(pattern.format(item.key))


def keep_only(root: Root, item: Item, keys: set[str]) -> None:
    """Make what is packed together smaller: publish what stays anew, then remove the whole.

    A pack that cannot be read is left for the run that needs it to name and repair.
    """
    records, stage = Records(root), item.kind.name
    staying = {key: found.record for key, found in records.find(stage, keys & item.keys).items()}
    if item.kind.files and not repack(root, stage, item.key, staying, name_of(staying)):
        return
    records.keep(stage, staying)
    records.drop(stage, item.key)
    if item.kind.files:
        root.place.remove(pack_of(stage, item.key))


def _items(root: Root, kind: Kind) -> Iterator[Item]:
    files: dict[str, list[File]] = defaultdict(list)
    for pattern, _ in kind.files:
        for key, file in _keyed(root, pattern):
            files[key].append(file)
    kept = Records(root).kept(kind.name) if kind.recorded else {}
    for key, own in _records(root, kind, kept):
        files[key].append(own)
    for key, all_of_it in files.items():
        strange = (file.name for file in all_of_it if not _is_ours(kind, key, file.name))
        units = kept.get(key, {key}) if kind.packed else {key}
        size, newest = sum(file.size for file in all_of_it), max(file.modified for file in all_of_it)
        yield Item(kind, key, size, newest, frozenset(units), next(strange, None))


def _records(root: Root, kind: Kind, kept: Mapping[str, set[str]]) -> Iterator[tuple[str, File]]:
    """Yield the file of every record with the key of its item; of several in one, the first has its bytes."""
    for pattern in (f"cache/{kind.name}/{{}}.json", f"cache/{kind.name}/{{}}") if kind.recorded else ():
        for name, file in _keyed(root, pattern):
            for place, key in enumerate([name] if kind.packed else sorted(kept.get(name, {name}))):
                yield key, File(file.name, 0 if place else file.size, file.modified)


def _keyed(root: Root, pattern: str) -> Iterator[tuple[str, File]]:
    """Yield every file that has a key in its name where a pattern has it."""
    before, after = pattern.split("{}")
    for file in root.place.files(before.rstrip("/")):
        top = file.name.removeprefix(before).partition("/")[0]
        key = top.removesuffix(after)
        if key + after == top and _KEY.fullmatch(key):
            yield key, file


def _is_ours(kind: Kind, key: str, name: str) -> bool:
    if name.startswith(f"cache/{kind.name}/"):
        return True
    for pattern, inside in kind.files:
        artefact = pattern.format(key)
        below = name.removeprefix(f"{artefact}/")
        if name == artefact or (below != name and inside and re.fullmatch(inside, below)):
            return True
    return False


def _left(folder: Path) -> Item:
    files = [path for path in folder.rglob("*") if path.is_file()]
    key = str(folder)
    return Item(STAGING, key, sum(path.lstat().st_size for path in files), 0.0, frozenset({key}))
