"""Arrays of several groups as one, along their first dimension, read when it is indexed."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.arrays import GroupReader


class StackedArray:
    """Arrays of one name, one after the other along the first dimension; nothing is kept but the last block.

    Each dimension is indexed by itself: by a number, a slice, a list of numbers or of truth values. With one
    list that is what NumPy does; with two it gives every row of the one with every column of the other.

    Parameters
    ----------
    readers
        Of the groups; shapes agree beyond the first dimension.
    name
        Of the array in each.
    """

    def __init__(self, readers: Sequence[GroupReader], name: str) -> None:
        self._name = name
        self._blocks = [(reader, block) for reader in readers for block in range(reader.blocks(name))]
        rows = tuple(size for reader in readers for size in reader.block_rows(name))
        self.block_rows = rows
        self.shape = (sum(rows), *readers[0].shape(name)[1:])
        self.dtype = readers[0].dtype(name)
        self._starts = np.array([0, *accumulate(rows)])
        self._latest: tuple[int, NDArray[Any]] | None = None

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Read and verify one block of rows after the other."""
        return map(self._read, range(len(self._blocks)))

    def __getitem__(self, index: object) -> NDArray[Any]:
        first, *rest = _of_each_dimension(index, self.ndim)
        rows = np.asarray(np.arange(len(self))[first])
        template = _columns(np.empty((0, *self.shape[1:]), self.dtype), rest)
        wanted = rows.reshape(-1)
        found = np.empty((len(wanted), *template.shape[1:]), self.dtype)
        of_block = np.searchsorted(self._starts, wanted, side="right") - 1
        for block in np.unique(of_block):
            here = of_block == block
            values = self._read(int(block))[wanted[here] - self._starts[block]]
            found[here] = _columns(values, rest)
        return found.reshape(rows.shape + template.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401
        if copy is False:
            raise ValueError("`copy` must not be False: the values are read from where they are stored")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def _read(self, block: int) -> NDArray[Any]:
        latest = self._latest  # taken once: another thread may replace it
        if latest is None or latest[0] != block:
            reader, number = self._blocks[block]
            self._latest = latest = block, reader.read_block(self._name, number)
        return latest[1]


def _of_each_dimension(index: object, ndim: int) -> list[Any]:
    """Return an index of each dimension: those that are left out, or that … stands for, are taken whole."""
    given = list(index) if isinstance(index, tuple) else [index]
    dots = [place for place, one in enumerate(given) if one is Ellipsis]
    if len(dots) > 1 or len(given) - len(dots) > ndim or any(one is None for one in given):
        raise IndexError(f"an index must be of {ndim} dimensions, with one … at most, got {index!r}")
    place = dots[0] if dots else len(given)
    whole = [slice(None)] * (ndim - len(given) + len(dots))
    return [*given[:place], *whole, *given[place + len(dots) :]]


def _columns(values: NDArray[Any], rest: Sequence[Any]) -> NDArray[Any]:
    """Index the dimensions after the first, the last of them first: a number takes its dimension away."""
    for place in reversed(range(len(rest))):
        values = values[(slice(None),) * (place + 1) + (rest[place],)]
    return values
