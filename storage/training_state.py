"""The state of a training after its last finished epoch, from which it resumes.

It is replaced after every epoch, removed when training ends, and ignored where it is damaged.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from storage.digests import array_digest
from storage.root import Root

_METADATA = "spanmatch"


@dataclass(frozen=True)
class TrainingState:
    """Keeps the newest state of one training under a root; made of numbers and JSON, never unpickled."""

    root: Root
    key: str

    @property
    def _name(self) -> str:
        return f"training/{self.key}.safetensors"

    def save(self, epoch: int, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Replace what is kept, whole or not at all."""
        whole = {name: np.require(array, requirements="C") for name, array in arrays.items()}
        digests = {name: array_digest(array) for name, array in whole.items()}
        text = json.dumps({"epoch": epoch, "values": dict(values), "digests": digests})
        with self.root.publish(self._name) as file:
            save_file(whole, file, metadata={_METADATA: text})

    def load(self) -> tuple[int, dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return what was saved last, or None where there is nothing or it is damaged.

        Raises
        ------
        UnusableRootError
            If the root does not answer or the file cannot be read: what is kept may be good.
        """
        try:
            content = self.root.read(self._name)
        except FileNotFoundError:
            return None
        try:
            (length,) = struct.unpack_from("<Q", content)
            kept = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_METADATA])
            arrays: dict[str, NDArray[Any]] = load(content)
            if {name: array_digest(array) for name, array in arrays.items()} != kept["digests"]:
                return None
            return kept["epoch"], arrays, kept["values"]
        except (SafetensorError, struct.error, ValueError, KeyError, TypeError):
            return None

    def discard(self) -> None:
        """Remove what is kept: the training is over."""
        self.root.place.remove(self._name)
