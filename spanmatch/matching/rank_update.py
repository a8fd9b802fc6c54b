"""A symmetric rank-k update of BLAS that other threads can work beside.

Apart because SciPy's own wrapper holds Python's lock while it multiplies, seconds for a wide layer: no other
thread would read the next chunk, nor tell a scheduler that the process is alive. The routine is the same.
"""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, cython_blas

_INT, _DOUBLE = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_double)
# uplo, trans, n, k, alpha, a, lda, beta, c, ldc
_ARGUMENTS = (
    *(ctypes.c_char_p, ctypes.c_char_p, _INT, _INT, _DOUBLE),
    *(ctypes.c_void_p, _INT, _DOUBLE, ctypes.c_void_p, _INT),
)
FloatArray = NDArray[np.float64]


def add_products(rows: FloatArray, lower: FloatArray) -> FloatArray:
    """Add ``rows.T @ rows`` to a lower triangle, in place where it lies in Fortran's order; return the sum.

    Parameters
    ----------
    rows : (n_rows, size) float64 array
        In C's order.
    lower : (size, size) float64 array
        Only its lower triangle is read and written.
    """
    if _dsyrk is None or not lower.flags.f_contiguous or not rows.flags.c_contiguous:
        summed: FloatArray = blas.dsyrk(1.0, rows.T, beta=1.0, c=lower, lower=1, overwrite_c=1)
        return summed
    k, n = map(ctypes.c_int, rows.shape)
    one = ctypes.c_double(1.0)
    _dsyrk(b"L", b"N", n, k, one, rows.ctypes.data, n, one, lower.ctypes.data, n)
    return lower


def _found() -> Callable[..., None] | None:
    """Return the routine that SciPy offers to compiled code, or None where its integers are larger."""
    capsule = cython_blas.__pyx_capi__["dsyrk"]
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    signature = name(capsule)
    if not signature.startswith(b"void (char *, char *, int *, int *, "):
        return None
    return ctypes.CFUNCTYPE(None, *_ARGUMENTS)(pointer(capsule, signature))


_dsyrk = _found()
