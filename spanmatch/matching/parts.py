"""What a kept Gram matrix must be to be one: the certificate takes its entries for sums of products."""

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.inputs import AnyArray

# Each product of two activations may fall short by about this where it underflows.
_TINY = float(np.finfo(np.float64).tiny)


def float64_array(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return an array of float64, or say why it is none: others have lost the digits that are certified."""
    try:
        array: AnyArray = np.asarray(values)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        message = f"`{name}` must be an array, got one that NumPy cannot read ({reason}); pass what was kept"
        raise InputTypeError(message) from None
    if array.dtype.kind != "f" or array.dtype.itemsize != np.dtype(np.float64).itemsize:
        raise InputTypeError(
            f"`{name}` must be float64, got dtype {array.dtype}; keep the `{name}` of a GramMatrix as it is, "
            "or sum the activations again: digits that are lost would be certified"
        )
    return array.astype(np.float64, copy=False)


def whole_number(name: str, value: Any, remedy: str) -> int:  # noqa: ANN401 - what a caller passes
    """Return a count as an int, or say that it is none."""
    try:
        return operator.index(value)
    except TypeError:
        raise InputTypeError(f"`{name}` must be a whole number, got {value!r}; {remedy}") from None


def check_products(
    matrix: NDArray[np.float64], sums: NDArray[np.float64], n_samples: int, roundings: int
) -> None:
    """See that a symmetric, finite matrix can hold inner products of so many samples, and their sums.

    Parameters
    ----------
    matrix : ndarray, (n, n)
        Inner products.
    sums : ndarray, (n,)
        Sum of each neuron's activations.
    n_samples : int
        Samples seen.
    roundings : int
        As of the GramMatrix: how far rounding may take products beyond Cauchy and Schwarz.

    Raises
    ------
    ValueError
        If not.
    """
    squares = matrix.diagonal()
    if (negative := np.flatnonzero(squares < 0)).size:
        neuron = negative[0]
        raise InputValueError(
            f"`matrix` must have squared lengths on its diagonal, got {squares[neuron]:g} for neuron "
            f"{neuron}; pass the `matrix` of a GramMatrix, of centred activations if means are to be left out"
        )
    allowance = 1 + 4 * (roundings + 4) * np.finfo(np.float64).eps
    norms = np.sqrt(squares + n_samples * _TINY)
    for one, row in enumerate(matrix):
        beyond = np.flatnonzero(np.abs(row[:one]) > allowance * norms[one] * norms[:one])
        if beyond.size:
            other = beyond[0]
            raise InputValueError(
                "`matrix` must hold inner products, at most the product of two lengths "
                f"({norms[one] * norms[other]:g} for neurons {other} and {one}), got {row[other]:g}; pass "
                "the `matrix` of a GramMatrix"
            )
    longest = np.sqrt(n_samples) * norms
    if (beyond := np.flatnonzero(np.abs(sums) > allowance * longest)).size:
        neuron = beyond[0]
        raise InputValueError(
            f"`sums` must be at most the root of `n_samples` times the length of a neuron "
            f"({longest[neuron]:g} for neuron {neuron}), got {sums[neuron]:g}; pass the `sums` and the "
            "`n_samples` that were kept beside the matrix"
        )
