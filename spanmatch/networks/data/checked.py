"""Checks of arrays that data sets are made of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputTypeError, InputValueError


class Input(NamedTuple):
    """What a network is given of one sample as one of its arguments."""

    kind: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Input":
        """Return that of samples that come first."""
        kinds = {"b": "bool", "f": "float32"}
        return cls(kinds.get(array.dtype.kind, "whole numbers"), array.shape[1:])


def require_array(name: str, array: object, *types: type[np.generic]) -> None:
    """See that a value is a NumPy array, of one of some types where any are given.

    Raises
    ------
    TypeError
        If not.
    """
    if not isinstance(array, np.ndarray):
        got = f"{type(array).__module__}.{type(array).__qualname__}"
        remedy = ".numpy()" if hasattr(array, "numpy") else "numpy.asarray"
        raise InputTypeError(f"`{name}` must be a NumPy array, got {got}; convert it with {remedy}")
    if types and array.dtype not in types:
        known = " or ".join(np.dtype(one).name for one in types)
        raise InputTypeError(f"`{name}` must be {known}, got {array.dtype}; convert it with .astype")


def require_counts(counts: Mapping[str, int], items: str) -> None:
    """See that everything is there once for each sample, and that there is a sample.

    Raises
    ------
    ValueError
        If not.
    """
    if 0 in counts.values() or len(set(counts.values())) > 1:
        names = [f"`{name or 'inputs'}`" for name in counts]
        numbers = [str(count) for count in counts.values()]
        message = (
            f"{_listed(names)} must be as many and at least one, got {_listed(numbers)}; give each of the "
            f"{items} a label and an id"
        )
        raise InputValueError(message)


def require_mask(mask: NDArray[np.bool_], samples: int, items: str) -> None:
    """See that a mask says of the positions of so many samples whether they count.

    Raises
    ------
    TypeError, ValueError
        If not.
    """
    require_array("mask", mask, np.bool_)
    if mask.ndim != 2 or len(mask) != samples:
        message = (
            f"`mask` must have the shape ({items}, positions) of {samples} {items}, got {mask.shape}; say of "
            "each position of each of them whether it counts"
        )
        raise InputValueError(message)


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
