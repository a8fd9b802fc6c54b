"""A symmetric rank-k update of BLAS that other threads can work beside.

Apart because it is called by its address: SciPy's own wrapper holds Python's lock while it multiplies,
seconds for a wide layer, and no other thread would read the next chunk, nor tell a scheduler that the process
is alive. An address knows no sizes: whatever is not sure to fit goes to the wrapper, which checks.
"""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import LowLevelCallable
from scipy.linalg import blas, cython_blas

_INT, _DOUBLE = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_double)
# uplo, trans, n, k, alpha, a, lda, beta, c, ldc
_ARGUMENTS = (
    *(ctypes.c_char_p, ctypes.c_char_p, _INT, _INT, _DOUBLE),
    *(ctypes.c_void_p, _INT, _DOUBLE, ctypes.c_void_p, _INT),
)
_LARGEST_INT = 2**31 - 1
FloatArray = NDArray[np.float64]


def add_products(rows: FloatArray, lower: FloatArray) -> FloatArray:
    """Add ``rows.T @ rows`` to a lower triangle, in place where it can; return the sum.

    Parameters
    ----------
    rows : (n_rows, size) float64 array
        In C's order.
    lower : (size, size) float64 array
        Only its lower triangle is read and written.

    Raises
    ------
    ValueError
        When `lower` is not square, or not as wide as `rows`.
    """
    if rows.ndim != 2 or lower.shape != (rows.shape[1], rows.shape[1]):
        raise ValueError(
            f"`lower` must be square and as wide as `rows`, got shapes {lower.shape} and {rows.shape}"
        )
    if _dsyrk is None or not (_fits(rows, "C") and _fits(lower, "F") and lower.flags.writeable):
        in_place = int(lower.flags.writeable)
        summed: FloatArray = blas.dsyrk(1.0, rows.T, beta=1.0, c=lower, lower=1, overwrite_c=in_place)
        return summed
    k, n = map(ctypes.c_int, rows.shape)
    one = ctypes.c_double(1.0)
    _dsyrk(b"L", b"N", n, k, one, rows.ctypes.data, n, one, lower.ctypes.data, n)
    return lower


def _fits(array: FloatArray, order: str) -> bool:
    """Tell whether BLAS can read an array as it lies in memory."""
    contiguous = array.flags.c_contiguous if order == "C" else array.flags.f_contiguous
    native = array.dtype == np.float64 and array.dtype.isnative and array.flags.aligned
    return contiguous and native and min(array.shape) > 0 and max(array.shape) <= _LARGEST_INT


def _found() -> Callable[..., None] | None:
    """Return the routine that SciPy offers to compiled code, or None where its integers are larger."""
    routine = LowLevelCallable.from_cython(cython_blas, "dsyrk")
    if not routine.signature.startswith("void (char *, char *, int *, int *, "):
        return None
    address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return ctypes.CFUNCTYPE(None, *_ARGUMENTS)(address(routine.function, routine.signature.encode()))


_dsyrk = _found()
