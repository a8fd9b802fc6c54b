"""Packs: the arrays and documents of many small units in one file, each with a digest of its own."""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from storage.digests import array_digest, json_digest
from storage.root import Artefact, DamagedArtefactError, Root

Content = Mapping[str, NDArray[Any]]

_SUFFIX = ".safetensors"
_UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, OverflowError)
KEPT_BYTES = 256 * 2**20  # of packs that were read, for the units that come next


def pack_of(stage: str, together: str) -> str:
    """Name of the pack of units that were kept together."""
    return f"{stage}/{together}{_SUFFIX}"


def publish_pack(root: Root, stage: str, together: str, members: Mapping[str, Content]) -> None:
    """Publish the arrays of several units, by key and name, as one file."""
    arrays = {
        f"{key}/{name}": np.require(array, requirements="C")
        for key, content in members.items()
        for name, array in content.items()
    }
    with root.publish(pack_of(stage, together)) as file:
        save_file(arrays, file)


def content_digest(content: Content) -> str:
    """Digest of a unit's arrays."""
    return json_digest({name: array_digest(array) for name, array in content.items()})


def document_array(document: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return a JSON document as an array, the same for equal documents."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return np.frombuffer(text.encode("utf-8"), np.uint8)


def array_document(array: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the JSON document of an array that `document_array` made."""
    document: dict[str, Any] = json.loads(array.tobytes())
    return document


class Packs:
    """Reads units out of packs; the latest packs stay in memory. May be shared between threads."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._packs: OrderedDict[str, dict[str, dict[str, NDArray[Any]]]] = OrderedDict()
        self._bytes: dict[str, int] = {}
        self._lock = threading.Lock()

    def read(self, artefact: Artefact) -> dict[str, NDArray[Any]]:
        """Read the arrays of one unit by name.

        Raises
        ------
        DamagedArtefactError
            If they are missing, or not what was written.
        UnusableRootError
            If the root does not answer.
        """
        content = self._pack(artefact).get(artefact.key)
        if content is None:
            raise DamagedArtefactError(artefact, f"{artefact.name} does not hold it")
        if content_digest(content) != artefact.digest:
            raise DamagedArtefactError(artefact, "it is not what was written")
        return content

    def _pack(self, artefact: Artefact) -> dict[str, dict[str, NDArray[Any]]]:
        with self._lock:
            if (pack := self._packs.get(artefact.name)) is not None:
                self._packs.move_to_end(artefact.name)
                return pack
        try:
            content = self._root.read(artefact.name)
            pack = _by_key(load(content))
        except FileNotFoundError:
            raise DamagedArtefactError(artefact, f"{artefact.name} is missing") from None
        except _UNREADABLE as error:
            raise DamagedArtefactError(artefact, f"{artefact.name} cannot be read ({error})") from None
        with self._lock:
            self._packs[artefact.name] = pack
            self._bytes[artefact.name] = len(content)
            while len(self._packs) > 1 and sum(self._bytes[name] for name in self._packs) > KEPT_BYTES:
                self._packs.popitem(last=False)
        return pack


def repack(root: Root, stage: str, together: str, keys: Iterable[str], new: str) -> bool:
    """Publish some units of a pack as a pack of their own; tell whether the pack could be read.

    What is not what was written is copied as it is, and found by whoever reads it.
    """
    try:
        pack = _by_key(load(root.read(pack_of(stage, together))))
    except (FileNotFoundError, *_UNREADABLE):
        return False
    publish_pack(root, stage, new, {key: pack.get(key, {}) for key in keys})
    return True


def _by_key(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    members: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        key, _, own = name.partition("/")
        members.setdefault(key, {})[own] = array
    return members
