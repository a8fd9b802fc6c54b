"""The stored activations of a layer of a checkpoint: an array that is read as far as it is indexed."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flows.opened.refusing import damage_named
from spanmatch.errors import InputTypeError, InputValueError, MissingExtraError
from storage.arrays import GroupReader
from storage.digests import json_digest
from storage.root import Artefact, Root
from storage.stacked import StackedArray

DIMENSIONS = ("image", "position", "neuron")


class StoredActivations:
    """Activations (images, positions, neurons) of one layer of one checkpoint, in the files of a root.

    Indexing reads, verifies and returns an array of NumPy, each dimension by itself, as `StackedArray` says:
    ``activations[:100]``, ``activations[:, :, [3, 7]]``. Positions that the data set's mask leaves out, such
    as padding, are NaN.

    Parameters
    ----------
    root
        Where they are.
    segments
        Their artefacts, ranges of images one after the other.
    checkpoint, layer
        What they are of.

    Attributes
    ----------
    ids
        One stable name for each image.
    shape, dtype
        As an array's.

    Raises
    ------
    SpanmatchError
        When opening or reading, if something is not what was written.
    """

    def __init__(self, root: Root, segments: Sequence[Artefact], checkpoint: str, layer: str) -> None:
        self._root = root
        self.checkpoint = checkpoint
        self.layer = layer
        with damage_named(root):
            readers = [GroupReader(root, segment) for segment in segments]
        self._array = StackedArray(readers, layer)
        self._token = json_digest([segment.digest for segment in segments])
        self.ids: tuple[str, ...] = tuple(one for reader in readers for one in reader.attributes["image_ids"])
        self.shape = self._array.shape
        self.dtype = self._array.dtype
        self.ndim = self._array.ndim

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: object) -> NDArray[Any]:
        with damage_named(self._root):
            return self._array[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        with damage_named(self._root):
            return self._array.__array__(dtype, copy)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size:,} {name}s" for size, name in zip(self.shape, DIMENSIONS, strict=True))
        return (
            f"<StoredActivations of {self.layer} of {self.checkpoint}: {sizes}, {self.dtype}, "
            f"{self._array.nbytes / 1e6:,.1f} MB>"
        )

    def strongest(self, neurons: ArrayLike, count: int = 9) -> NDArray[np.int64]:
        """Return the images that activate neurons most, by the greatest activation at any position.

        Parameters
        ----------
        neurons
            Numbers of neurons, (n,) or one.
        count
            How many images of each.

        Returns
        -------
        array of int64
            (n, count), or (count,) of one neuron: numbers of images, strongest first; of equals the first.

        Raises
        ------
        TypeError, ValueError, IndexError
            If there are no such neurons, or fewer images.

        Notes
        -----
        Reads the layer once, a block at a time.
        """
        chosen = np.asarray(neurons)
        if chosen.ndim > 1 or not np.issubdtype(chosen.dtype, np.integer):
            raise InputTypeError(
                f"`neurons` must be numbers of neurons, or one, got {neurons!r}; such as match.x"
            )
        if not 1 <= count <= len(self):
            raise InputValueError(
                f"`count` must be from 1 to {len(self)}, the number of samples, got {count}; 9 are usual"
            )
        peaks = np.concatenate([_peaks(block[:, :, chosen.reshape(-1)]) for block in self._blocks()])
        order = np.argsort(-peaks, axis=0, kind="stable")[:count].T
        return order.reshape(*chosen.shape, count)

    def to_dask(self) -> Any:  # noqa: ANN401 - dask's own functions are typed in part
        """Return the same as an array of Dask, a chunk for each block that is stored."""
        chunks = (self._array.block_rows, *self.shape[1:])
        name = f"activations-{self._token}"
        array = import_module("dask.array")
        return array.from_array(self, chunks=chunks, name=name, meta=np.empty((0, 0, 0), self.dtype))

    def to_xarray(self) -> Any:  # noqa: ANN401 - a package that need not be there
        """Return the same as a DataArray over Dask, with the ids of images and numbers of the rest.

        Raises
        ------
        MissingExtraError
            If xarray is not installed.
        """
        try:
            xarray = import_module("xarray")
        except ModuleNotFoundError:
            raise MissingExtraError(
                "`to_xarray` must have xarray, got none installed; pip install xarray, or use `to_dask`",
                name="xarray",
            ) from None
        coordinates = (list(self.ids), *map(np.arange, self.shape[1:]))
        return xarray.DataArray(
            self.to_dask(),
            dims=DIMENSIONS,
            coords=dict(zip(DIMENSIONS, coordinates, strict=True)),
            name=self.layer,
            attrs={"checkpoint": self.checkpoint, "layer": self.layer},
        )

    def _blocks(self) -> Iterator[NDArray[Any]]:
        with damage_named(self._root):
            yield from self._array.blocks()


def _peaks(values: NDArray[Any]) -> NDArray[Any]:
    """Return the greatest of each image's positions, (images, neurons); of none that counts, -inf."""
    peaks: NDArray[Any] = np.where(np.isnan(values), -np.inf, values).max(axis=1)
    return peaks
