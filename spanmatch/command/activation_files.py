"""The Gram matrix of activations in two files: `.npy`, or `.npz` with the samples' ids."""

import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spanmatch import GramMatrix
from spanmatch.command.sample_ids import IDS, check_names, check_same
from spanmatch.errors import InputValueError

AnyArray: TypeAlias = NDArray[Any]

_CHUNK_BYTES = 32 * 2**20  # of both sides together, as they lie in the files
_LISTED = 5
# What a missing, foreign, damaged or encrypted file makes NumPy raise, to which headers are Python.
_UNREADABLE = (
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def gram_of_files(x: Path, y: Path) -> GramMatrix:
    """Return the Gram matrix of two files, each (samples, neurons).

    A `.npz` file holds one array and, if it likes, `ids`, one for each sample. Then both files must have the
    same ids in the same order.

    Raises
    ------
    ValueError, TypeError
        If a file cannot be read, the ids or the arrays do not fit each other, or hold NaN.

    Notes
    -----
    Of `.npy` files no more is in memory than a chunk of samples, 32 MiB or as many samples as neurons;
    those in an archive are read as a whole.
    """
    first, second = _File.opened("X", x), _File.opened("Y", y)
    _check_ids(first, second)
    whole = first.array(), second.array()
    if any(array.ndim != 2 or array.size == 0 for array in whole) or len(whole[0]) != len(whole[1]):
        return GramMatrix.from_activations(*whole)  # which refuses them, or has seen nothing
    samples, neurons = len(whole[0]), whole[0].shape[1] + whole[1].shape[1]
    gram = GramMatrix.from_activations(whole[0][:0], whole[1][:0])
    row_bytes = sum(array.shape[1] * array.itemsize for array in whole)
    del whole
    rows = max(neurons, _CHUNK_BYTES // row_bytes)
    for start in range(0, samples, rows):
        gram.update(first.rows(start, start + rows), second.rows(start, start + rows))
    return gram


@dataclass(frozen=True)
class _File:
    """One side: what the command line calls it, where it is, and, of an archive, what it holds."""

    argument: str
    path: Path
    archived: AnyArray | None = None
    ids: AnyArray | None = None

    @classmethod
    def opened(cls, argument: str, path: Path) -> "_File":
        """Look what a file holds."""
        try:
            loaded = np.load(path, mmap_mode="r", allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return cls(argument, path)
            with loaded:
                names = [name for name in loaded.files if name != IDS]
                held = {name: loaded[name] for name in loaded.files} if len(names) == 1 else {}
        except _UNREADABLE as error:
            message = (
                f"`{argument}` must be what numpy.save or numpy.savez wrote, without Python objects, "
                f"got {str(path)!r} ({_reason(error)}); write it with numpy.save"
            )
            raise InputValueError(message) from None
        if not held or not isinstance(held[names[0]], np.ndarray):
            listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
            message = (
                f"`{argument}` must hold one array beside `{IDS}`, got {str(path)!r} that holds "
                f"{listed or 'none'}; write a file for each layer, with numpy.save or numpy.savez"
            )
            raise InputValueError(message)
        return cls(argument, path, held[names[0]], held.get(IDS))

    def rows(self, start: int, stop: int) -> AnyArray:
        """Return some samples; no page of the file stays mapped when they are dropped."""
        array = self.array()
        if not isinstance(array, np.memmap) or array.flags.c_contiguous:
            return array[start:stop]
        # Column by column: the pages that the kernel maps around those that are wanted would be all of them.
        count, stride = len(array[start:stop]), len(array) * array.itemsize
        at = array.offset + start * array.itemsize
        with self.path.open("rb") as file:
            columns = [
                _read(file, at + index * stride, array.dtype, count) for index in range(array.shape[1])
            ]
        return np.stack(columns, axis=1)

    def array(self) -> AnyArray:
        """Return its activations; what is read of them stays in memory for as long as what is returned."""
        if self.archived is not None:
            return self.archived
        mapped: AnyArray = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return mapped


def _read(file: BinaryIO, offset: int, dtype: np.dtype[Any], count: int) -> AnyArray:
    file.seek(offset)
    return np.fromfile(file, dtype, count)


def _reason(error: Exception) -> str:
    if "pickle" in str(error):  # NumPy's advice is to run what such a file says
        return "it has another format, or holds Python objects"
    return " ".join(str(error).split())


def _check_ids(x: _File, y: _File) -> None:
    """See that the samples of both files are the same in the same order, where ids say so."""
    for one, other in ((x, y), (y, x)):
        if one.ids is None:
            continue
        if other.ids is None:
            message = (
                f"`X` and `Y` must both have ids of their samples or neither, got {one.path.name} with and "
                f"{other.path.name} without; write them to both, or to neither if the order is the same"
            )
            raise InputValueError(message)
        array = one.array()
        check_names(one.argument, one.ids, len(array) if array.ndim else 0)
    if x.ids is not None and y.ids is not None:
        check_same(x.ids, y.ids)
