"""What callers pass as activations, turned into arrays, or refused with the remedy.

Tensors and data frames are told by their attributes: nothing of theirs is imported.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.match import Side

AnyArray: TypeAlias = NDArray[Any]
FloatArray: TypeAlias = NDArray[np.float64]

_FLOATS = frozenset({"torch.float16", "torch.float32", "torch.float64"})  # those that NumPy has


def paired_activations(x: ArrayLike, y: ArrayLike) -> tuple[AnyArray, AnyArray]:
    """Return the activations of both sides as two-dimensional arrays of real numbers.

    Raises
    ------
    TypeError
        When a side cannot be read as an array, or holds anything but real numbers.
    ValueError
        When a side is not two-dimensional or holds masked values, or both have row labels that differ.
    """
    _check_labels(_row_labels(x), _row_labels(y))
    return _activations("x", x), _activations("y", y)


def refuse_values(side: Side, chunk: AnyArray, squares: FloatArray) -> None:
    """Raise when it is this side whose products are not finite.

    Parameters
    ----------
    side : {"x", "y"}
        What a message calls it.
    chunk : ndarray, (n_samples, n)
        Activations of this side.
    squares : ndarray, (n,)
        Squared lengths of this side before the chunk came.

    Raises
    ------
    ValueError
        When a value is NaN, infinite or so large that its square, added to these, overflows.
    """
    peaks = np.maximum(
        np.abs(chunk.min(axis=0).astype(np.float64)), np.abs(chunk.max(axis=0).astype(np.float64))
    )
    broken = np.flatnonzero(~np.isfinite(peaks))
    if broken.size:
        value = "NaN" if np.isnan(peaks[broken[0]]) else "infinity"
        raise InputValueError(
            f"`{side}` must be finite, got {value} in neuron {broken[0]}; "
            "remove the samples or repair the network"
        )
    with np.errstate(over="ignore"):
        bounds = squares + len(chunk) * peaks**2
    broken = np.flatnonzero(~np.isfinite(bounds))
    if broken.size:
        raise InputValueError(
            f"`{side}` must be small enough for its products to stay finite, got {peaks[broken[0]]:.3g} "
            f"in neuron {broken[0]}; divide that side by a constant, which changes no match"
        )


def _activations(side: Side, values: ArrayLike) -> AnyArray:
    if masked := _count_masked(values):
        raise InputValueError(
            f"`{side}` must have no masked values, got {masked}; leave their samples out of both sides"
        )
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(_unreadable(side, values, error)) from None
    if array.dtype.kind not in "biuf":
        raise InputTypeError(
            f"`{side}` must hold real numbers, got {_described(values, array)}; "
            f"{_conversion(side, values, array.dtype.kind == 'c')}"
        )
    if array.ndim != 2:
        raise InputValueError(
            f"`{side}` must be two-dimensional, got shape {array.shape}; rows are samples, columns are "
            "neurons: reshape a convolutional layer to (images · height · width, channels)"
        )
    if array.shape[1] == 0:
        raise InputValueError(
            f"`{side}` must have at least one neuron, got shape {array.shape}; columns are neurons"
        )
    return array


def _count_masked(values: object) -> int:
    """Count what is masked, of which NumPy would take what lies under the mask."""
    arrays = values if isinstance(values, list | tuple) else [values]
    return sum(int(np.ma.getmaskarray(each).sum()) for each in arrays if isinstance(each, np.ma.MaskedArray))


def _unreadable(side: Side, values: object, error: Exception) -> str:
    """Say what NumPy cannot read, and how a tensor becomes what it can."""
    got, dtype = _described(values), str(getattr(values, "dtype", ""))
    if dtype.startswith("torch.complex"):
        return f"`{side}` must hold real numbers, got {got}; {_conversion(side, values, is_complex=True)}"
    device = getattr(getattr(values, "device", None), "type", "cpu")
    if device == "meta":
        return f"`{side}` must hold values, got {got} on device meta; compute the activations on a CPU or GPU"
    dense = str(getattr(values, "layout", "torch.strided")) == "torch.strided"
    steps = {
        "detach": getattr(values, "requires_grad", False),
        "cpu": device != "cpu",
        "to_dense": not dense,
        "dequantize": getattr(values, "is_quantized", False),
        "resolve_neg": dense and hasattr(values, "is_neg") and values.is_neg(),
        "float": dtype.startswith(("torch.bfloat", "torch.float")) and dtype not in _FLOATS,
    }
    calls = "".join(f".{name}()" for name, needed in steps.items() if needed)
    if calls:
        return (
            f"`{side}` must be an array, or a dense, detached tensor on the CPU of a dtype that NumPy has, "
            f"got {got}; pass {side}{calls}"
        )
    reason = " ".join(str(error).split())
    return (
        f"`{side}` must be an array that NumPy can read, got {got} ({reason}); pass one of shape "
        "(samples, neurons)"
    )


def _described(values: object, array: AnyArray | None = None) -> str:
    if array is not None and (array.dtype.kind != "O" or isinstance(values, np.ndarray)):
        return f"dtype {array.dtype}"
    kind = f"an object of class {type(values).__name__}"
    return f"{kind} and dtype {values.dtype}" if hasattr(values, "dtype") else kind


def _conversion(side: Side, values: object, is_complex: bool) -> str:
    if is_complex:
        return f"pass abs({side}), or real and imaginary parts as neurons of their own"
    if hasattr(values, "toarray"):  # SciPy's sparse arrays
        return f"pass {side}.toarray()"
    return "convert it to float32 or float64"


def _row_labels(values: object) -> Any:  # noqa: ANN401 - an index of pandas, or of whatever resembles it
    """Return the labels of the rows of a data frame or of an xarray; None where there are none."""
    dims = getattr(values, "dims", None)
    if isinstance(dims, tuple) and dims:
        return getattr(values, "indexes", {}).get(dims[0])
    return getattr(values, "index", None) if hasattr(values, "columns") else None


def _check_labels(x: Any, y: Any) -> None:  # noqa: ANN401 - as above
    """See that the rows of both sides have the same labels in the same order, where both have any."""
    if x is None or y is None or (hasattr(x, "equals") and x.equals(y)):
        return
    first, second = np.asarray(x), np.asarray(y)
    if first.size != second.size:
        return  # told as differing numbers of samples
    rows = (row for row in range(first.size) if first[row] != second[row])
    if (row := next(rows, None)) is not None:
        raise InputValueError(
            "`x` and `y` must have the same samples in the same order, got different labels in row "
            f"{row}: {first[row]} and {second[row]}; pass the rows of y in the order of x "
            "(y.loc[x.index] in pandas, y.sel in xarray), or .to_numpy() of both if labels mean nothing"
        )
