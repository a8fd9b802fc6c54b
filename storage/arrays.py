"""Published Zarr groups of named arrays in which every block of rows carries its digest.

A block that is read is compared with the group's manifest, and that with the digest that a record holds.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.codec import BytesBytesCodec

from storage.digests import array_digest, json_digest
from storage.layout import Layout
from storage.loop import finished
from storage.root import Artefact, DamagedArtefactError, Root

# Raw, because compressing costs more time than it saves: docs/benchmarks.md has the rates, and the sizes.
COMPRESSORS: tuple[BytesBytesCodec, ...] = ()
_MANIFEST = "manifest.json"


class GroupWriter:
    """Writes one group of arrays, a block of rows at a time.

    Parameters
    ----------
    path
        A folder that does not exist yet; publish it with `Root.publish`.
    attributes
        JSON that belongs to the group, digested with it.
    compressors
        Zarr codecs of the chunks; no part of the group's identity.
    """

    def __init__(
        self, path: Path, attributes: Mapping[str, Any], compressors: Sequence[BytesBytesCodec] = COMPRESSORS
    ) -> None:
        self._path = path
        self._compressors = tuple(compressors)
        self._attributes = dict(attributes)
        described = {**self._attributes, "written_by": _versions()}
        self._group = zarr.open_group(path, mode="w-", zarr_format=3, attributes=described)
        self._arrays: dict[str, dict[str, Any]] = {}
        # as they were created: one that is opened again would not write chunks of zeros, and look for them
        self._open: dict[str, zarr.Array[Any]] = {}

    def create(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        *,
        layout: Layout | None = None,
        dimensions: tuple[str, ...] | None = None,
    ) -> None:
        """Add an array whose chunks hold as many rows as `layout` says, all of them by default."""
        rows = max(1, shape[0])
        layout = layout or Layout(rows, rows)
        rest = tuple(max(1, n) for n in shape[1:])
        self._open[name] = self._group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=(layout.chunk_rows, *rest),
            shards=None if layout.shard_rows == layout.chunk_rows else (layout.shard_rows, *rest),
            compressors=self._compressors,
            fill_value=np.nan,  # never written: so that a chunk of zeros that goes missing is missed
            dimension_names=dimensions,
            config={"write_empty_chunks": True},
        )
        blocks = -(-shape[0] // layout.chunk_rows)
        self._arrays[name] = {
            "shape": list(shape),
            "dtype": dtype,
            "rows": layout.chunk_rows,
            "blocks": [None] * blocks,
        }

    def write_rows(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write the rows of an array from `start` on: whole chunks, and whole shards, or up to its end."""
        entry = self._arrays[name]
        array = self._open[name]
        whole = (array.shards or array.chunks)[0]
        stop = start + len(values)
        fits = values.shape[1:] == array.shape[1:] and stop <= array.shape[0]
        if not fits or start % whole or (stop % whole and stop != array.shape[0]):
            message = (
                f"`values` must be whole chunks of {whole} rows, up to the end of {name!r} of shape "
                f"{array.shape}; got shape {values.shape} at row {start}"
            )
            raise ValueError(message)
        values = np.ascontiguousarray(values, dtype=entry["dtype"])
        finished(array.async_array.setitem(slice(start, stop), values))
        for row in range(0, len(values), entry["rows"]):
            digest = array_digest(values[row : row + entry["rows"]])
            entry["blocks"][(start + row) // entry["rows"]] = digest

    def write(self, name: str, values: NDArray[Any]) -> None:
        """Add and write a small array whole."""
        self.create(name, values.shape, values.dtype.name)
        if len(values):
            self.write_rows(name, 0, values)

    def finish(self) -> str:
        """Write the manifest; return its digest. Every block must have been written."""
        unwritten = [name for name, entry in self._arrays.items() if None in entry["blocks"]]
        assert not unwritten, f"blocks of {unwritten} were not written"
        manifest = {"attributes": self._attributes, "arrays": self._arrays, "written_by": _versions()}
        text = json.dumps(manifest, sort_keys=True, indent=1)
        (self._path / _MANIFEST).write_text(text, encoding="utf-8")
        return _manifest_digest(manifest)

    def array_digests(self) -> dict[str, str]:
        """Digest of each array's content: shape, dtype and its blocks' digests."""
        return {name: json_digest(entry) for name, entry in self._arrays.items()}


class GroupReader:
    """Reads blocks of a published group, each compared with what was written.

    Opening compares the manifest with the artefact's digest, and reads no array. A block is a chunk.

    Raises
    ------
    DamagedArtefactError
        When opening or reading, if anything is missing or differs.
    UnusableRootError
        When opening or reading, if an object store does not answer.
    """

    def __init__(self, root: Root, artefact: Artefact) -> None:
        self._root = root
        self._artefact = artefact
        self._name = artefact.name
        try:
            manifest = json.loads(root.read(f"{self._name}/{_MANIFEST}"))
            digest = _manifest_digest(manifest)
        except FileNotFoundError:
            raise self._damaged("it is missing or incomplete") from None
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(f"its manifest cannot be read ({error})") from error
        if digest != artefact.digest:
            raise self._damaged("its manifest is not what was written")
        self.attributes: dict[str, Any] = manifest["attributes"]
        self._arrays: dict[str, dict[str, Any]] = manifest["arrays"]
        self._opened: dict[str, zarr.Array[Any]] = {}
        self._latest: tuple[str, int, NDArray[Any]] | None = None

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return tuple(self._arrays[name]["shape"])

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type of an array's values."""
        dtype: np.dtype[Any] = np.dtype(self._arrays[name]["dtype"])
        return dtype

    def blocks(self, name: str) -> int:
        """Return the number of blocks of an array."""
        return len(self._arrays[name]["blocks"])

    def block_rows(self, name: str) -> list[int]:
        """Return how many rows each block of an array has."""
        rows, total = self._arrays[name]["rows"], self.shape(name)[0]
        return [min(rows, total - start) for start in range(0, total, rows)]

    def read_block(self, name: str, block: int) -> NDArray[Any]:
        """Read and verify block number `block` of an array."""
        entry = self._arrays[name]
        start = block * entry["rows"]
        stop = min(start + entry["rows"], entry["shape"][0])
        where = f"array {name!r}, rows {start} to {stop - 1}"
        try:
            values = np.asarray(finished(self._array(name).async_array.getitem(slice(start, stop))))
        except MemoryError:
            raise
        except Exception as error:  # zarr and its codecs raise whatever a wrong byte leads them to
            if trouble := self._root.place.trouble(error):
                raise trouble from None
            raise self._damaged(f"{where} cannot be read ({error})") from error
        if array_digest(values) != entry["blocks"][block]:
            raise self._damaged(f"{where} is not what was written (a missing or changed chunk)")
        return values

    def read_rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Read and verify the rows of an array from `start` to `stop`.

        The last block stays in memory: whoever reads an array from its start to its end reads each once.
        """
        rows = self._arrays[name]["rows"]
        parts = []
        for block in range(start // rows, -(-stop // rows)):
            if self._latest is None or self._latest[:2] != (name, block):
                self._latest = name, block, self.read_block(name, block)
            first = block * rows
            parts.append(self._latest[2][max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def read(self, name: str) -> NDArray[Any]:
        """Read and verify a whole array."""
        entry = self._arrays[name]
        if not entry["blocks"]:
            return np.empty(entry["shape"], dtype=entry["dtype"])
        return np.concatenate([self.read_block(name, block) for block in range(self.blocks(name))])

    def _array(self, name: str) -> "zarr.Array[Any]":
        if name not in self._opened:
            store = self._root.place.arrays()
            array = zarr.open_array(store, path=f"{self._name}/{name}", mode="r", zarr_format=3)
            self._opened[name] = array
        return self._opened[name]

    def _damaged(self, reason: str) -> DamagedArtefactError:
        return DamagedArtefactError(self._artefact, reason)


def _manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of what a manifest says of the data.

    Which versions wrote it is kept out: the same data, written by others elsewhere, is the same artefact.
    """
    return json_digest({"attributes": manifest["attributes"], "arrays": manifest["arrays"]})


@cache
def _versions() -> dict[str, str]:
    """Return the versions of what activations, sums and files come from, none of which need be imported."""
    return {name: version(name) for name in ("spanmatch", "torch", "zarr", "numpy")}
