"""Arrays as text inside a page, and back in a browser without a rounding."""

import base64
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Arrays", "smallest", "to_half", "to_single", "to_thousandths"]

_NONE = 65_535  # thousandths: no number
_STEPS = 10_000  # of epsilon in [0, 1]: the page shows four decimals

_TYPES = {"u1": "Uint8", "u2": "Uint16", "u4": "Uint32", "f4": "Float32", "f8": "Float64", "f2": "Half"}


class Arrays:
    """Named arrays on their way into a page."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.generic]] = {}

    def add(self, name: str, values: ArrayLike) -> None:
        """Add an array of unsigned integers, or of floats; its shape is not kept."""
        self._arrays[name] = np.asarray(values).ravel()

    @property
    def types(self) -> Mapping[str, str]:
        """Of each array, the start of the name of JavaScript's type."""
        return {name: _TYPES[array.dtype.str[1:]] for name, array in self._arrays.items()}

    def markup(self, prefix: str) -> list[str]:
        """Write each array as an element that no browser runs or shows."""
        return [
            f'<script type="application/octet-stream" id="{prefix}-{name}">{_text(array)}</script>'
            for name, array in self._arrays.items()
        ]


def _text(array: NDArray[np.generic]) -> str:
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little_endian.tobytes()).decode("ascii")


def smallest(values: ArrayLike) -> NDArray[np.unsignedinteger]:
    """Return integers, none negative, in the smallest type that holds them all."""
    array = np.asarray(values, dtype=np.int64)
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def to_single(critical: ArrayLike, epsilons: ArrayLike) -> NDArray[np.float32 | np.float64]:
    """Round critical epsilons to single precision, none across an epsilon that the page can show.

    Parameters
    ----------
    critical
        Critical epsilons, infinite ones among them.
    epsilons
        The study's. The page shows these, and all of four decimals.

    Returns
    -------
    ndarray
        So that `critical <= epsilon` holds of the rounded ones exactly where it holds of those given; in
        double precision where two epsilons are so near that none of single precision lies between.
    """
    exact = np.asarray(critical, dtype=np.float64).ravel()
    near = np.arange(_STEPS + 1) / _STEPS
    shown = np.unique(np.concatenate([near, np.asarray(epsilons, dtype=np.float64).ravel()]))
    single = exact.astype(np.float32)
    wanted = np.searchsorted(shown, exact)
    above = np.searchsorted(shown, single.astype(np.float64)) > wanted
    below = np.searchsorted(shown, single.astype(np.float64)) < wanted
    single[above] = np.nextafter(single[above], np.float32(-np.inf))
    single[below] = np.nextafter(single[below], np.float32(np.inf))
    return single if (np.searchsorted(shown, single.astype(np.float64)) == wanted).all() else exact


def to_half(values: ArrayLike) -> NDArray[np.float16 | np.float32]:
    """Round to half precision, of which three digits are right; single where a number is out of its range."""
    single = np.asarray(values, dtype=np.float32)
    size = np.abs(single[np.isfinite(single) & (single != 0)])
    limits = np.finfo(np.float16)
    in_range = size.size == 0 or (size.max() <= limits.max and size.min() >= limits.smallest_normal)
    return single.astype(np.float16) if in_range else single


def to_thousandths(values: ArrayLike) -> NDArray[np.uint16]:
    """Round to three decimals, which are all that is shown; infinite ones become the largest."""
    exact = np.asarray(values, dtype=np.float64)
    return np.where(exact < _NONE / 1000, np.round(1000 * exact), _NONE).astype(np.uint16)
