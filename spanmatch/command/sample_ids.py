"""Ids of samples in files of activations: whether they say that the samples of two files are the same.

NumPy compares where it should not: integers with floats, numbers with durations.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputValueError

AnyArray: TypeAlias = NDArray[Any]

IDS = "ids"
_KINDS = {
    "b": "true or false",
    "i": "integers",
    "u": "integers",
    "f": "floating-point numbers",
    "U": "text",
    "S": "bytes",
    "M": "dates",
    "m": "durations",
}


def check_names(argument: str, ids: AnyArray, samples: int) -> None:
    """See that ids name each of a file's samples, and no two alike.

    Raises
    ------
    ValueError
        If not.
    """
    if ids.shape != (samples,):
        message = (
            f"`{IDS}` of {argument} must have shape {(samples,)}, one for each sample, got shape "
            f"{ids.shape}; write them beside the activations in their order"
        )
        raise InputValueError(message)
    if ids.dtype.kind not in _KINDS:
        message = (
            f"`{IDS}` of {argument} must be numbers, text or dates, got dtype {ids.dtype}; write an "
            "integer or a text for each sample"
        )
        raise InputValueError(message)
    named, counts = np.unique(ids, return_counts=True)
    if named.size < samples:
        repeated = counts.argmax()
        message = (
            f"`{IDS}` of {argument} must tell its samples apart, got {named[repeated]} "
            f"{counts[repeated]} times; write what is different for each sample, or no ids"
        )
        raise InputValueError(message)


def check_same(x: AnyArray, y: AnyArray) -> None:
    """See that both files name the same samples in the same order.

    Raises
    ------
    ValueError
        If not.
    """
    kinds = _kind(x), _kind(y)
    if kinds[0] != kinds[1]:
        message = (
            f"`X` and `Y` must have `{IDS}` of one kind, got {kinds[0]} and {kinds[1]}; write those of one "
            "file as the other has them"
        )
        raise InputValueError(message)
    if np.array_equal(x, y):
        return
    if x.shape == y.shape:
        row = int(np.flatnonzero(x != y)[0])
        got = f"{x[row]} and {y[row]} in row {row}"
    else:
        got = f"{x.size} and {y.size} of them"
    order = "in another order" if np.array_equal(np.sort(x), np.sort(y)) else "not the same"
    message = (
        f"`X` and `Y` must have the same `{IDS}` in the same order, got {got} ({order}); sort the rows "
        "of both by their ids before numpy.savez, and leave out samples that only one has"
    )
    raise InputValueError(message)


def _kind(ids: AnyArray) -> str:
    """Name a kind of ids; dates and durations of two units are of two kinds."""
    unit = f" ({ids.dtype})" if ids.dtype.kind in "mM" else ""
    return _KINDS[ids.dtype.kind] + unit
