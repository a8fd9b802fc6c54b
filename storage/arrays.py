"""Published Zarr groups of named arrays in which every block of rows carries its digest.

One place for activations, Gram matrices and critical epsilons: a group is written block by block, its
manifest last, and a block that is read back is compared with the manifest, the manifest with the digest
that the cached result holds. So no byte that is used can differ from what was written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from storage.digests import array_digest, json_digest
from storage.root import DamagedArtefactError, Root, Stage

# Level 0 is zstd's fast default; higher levels and shuffling cost more time than they save on activations.
_COMPRESSORS = (ZstdCodec(level=0), Crc32cCodec())
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Artefact:
    """A published group: where it lies (stage and key) and the digest of its manifest."""

    stage: Stage
    key: str
    digest: str


class GroupWriter:
    """Writes one group of arrays, a block of rows at a time.

    Parameters
    ----------
    path
        A folder that does not exist yet; publish it with `Root.publish`.
    attributes
        JSON that belongs to the group, digested with it.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        self._path = path
        self._group = zarr.open_group(path, mode="w-", zarr_format=3, attributes=dict(attributes))
        self._attributes = dict(attributes)
        self._arrays: dict[str, dict[str, Any]] = {}

    def create(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        *,
        block_rows: int | None = None,
        dimensions: tuple[str, ...] | None = None,
    ) -> None:
        """Add an array whose chunks hold `block_rows` rows (all of them by default) and all else."""
        rows = max(1, shape[0]) if block_rows is None else block_rows
        self._group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=(rows, *(max(1, n) for n in shape[1:])),
            compressors=_COMPRESSORS,
            dimension_names=dimensions,
            config={"write_empty_chunks": True},
        )
        blocks = -(-shape[0] // rows)
        self._arrays[name] = {"shape": list(shape), "dtype": dtype, "rows": rows, "blocks": [None] * blocks}

    def write_block(self, name: str, block: int, values: NDArray[Any]) -> None:
        """Write block number `block` of an array; its rows must be exactly those of the block."""
        entry = self._arrays[name]
        start = block * entry["rows"]
        array = self._group[name]
        assert isinstance(array, zarr.Array)
        expected = (min(entry["rows"], entry["shape"][0] - start), *entry["shape"][1:])
        if values.shape != expected:
            message = f"`values` must have shape {expected} in block {block} of {name!r}, got {values.shape}"
            raise ValueError(message)
        values = np.ascontiguousarray(values, dtype=entry["dtype"])
        array[start : start + len(values)] = values
        entry["blocks"][block] = array_digest(values)

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Add and write a small array whole."""
        self.create(name, values.shape, values.dtype.name)
        if len(values):
            self.write_block(name, 0, values)

    def finish(self) -> str:
        """Write the manifest; return its digest. Every block must have been written."""
        unwritten = [name for name, entry in self._arrays.items() if None in entry["blocks"]]
        assert not unwritten, f"blocks of {unwritten} were not written"
        manifest = {"attributes": self._attributes, "arrays": self._arrays}
        text = json.dumps(manifest, sort_keys=True, indent=1)
        (self._path / _MANIFEST).write_text(text, encoding="utf-8")
        return json_digest(manifest)

    def array_digests(self) -> dict[str, str]:
        """Digest of each array's content: shape, dtype and its blocks' digests."""
        return {name: json_digest(entry) for name, entry in self._arrays.items()}


class GroupReader:
    """Reads blocks of a published group, each compared with what was written.

    Opening compares the manifest with the artefact's digest, and reads no array.

    Raises
    ------
    DamagedArtefactError
        When opening or reading, if anything is missing or differs.
    """

    def __init__(self, root: Root, artefact: Artefact) -> None:
        self._artefact = artefact
        self._path = root.artefact(artefact.stage, artefact.key)
        try:
            manifest = json.loads((self._path / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise self._damaged("it is missing or incomplete") from None
        except (OSError, ValueError) as error:
            raise self._damaged(f"its manifest cannot be read ({error})") from error
        if json_digest(manifest) != artefact.digest:
            raise self._damaged("its manifest is not what was written")
        self.attributes: dict[str, Any] = manifest["attributes"]
        self._arrays: dict[str, dict[str, Any]] = manifest["arrays"]

    def blocks(self, name: str) -> int:
        """Return the number of blocks of an array."""
        return len(self._arrays[name]["blocks"])

    def read_block(self, name: str, block: int) -> NDArray[Any]:
        """Read and verify block number `block` of an array."""
        entry = self._arrays[name]
        start = block * entry["rows"]
        stop = min(start + entry["rows"], entry["shape"][0])
        where = f"array {name!r}, rows {start} to {stop - 1}"
        try:
            array = zarr.open_array(self._path / name, mode="r", zarr_format=3)
            values = np.asarray(array[start:stop])
        except Exception as error:  # zarr and its codecs raise whatever a wrong byte leads them to
            raise self._damaged(f"{where} cannot be read ({error})") from error
        if array_digest(values) != entry["blocks"][block]:
            raise self._damaged(f"{where} is not what was written (a missing or changed chunk)")
        return values

    def read(self, name: str) -> NDArray[Any]:
        """Read and verify a whole array."""
        entry = self._arrays[name]
        if not entry["blocks"]:
            return np.empty(entry["shape"], dtype=entry["dtype"])
        return np.concatenate([self.read_block(name, block) for block in range(self.blocks(name))])

    def _damaged(self, reason: str) -> DamagedArtefactError:
        return DamagedArtefactError(self._artefact.stage, self._artefact.key, reason)
