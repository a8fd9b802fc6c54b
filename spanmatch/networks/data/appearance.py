"""How samples look, for people who are shown what a neuron sees: pictures or texts."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.data.images import Images, Raw

LARGEST = 48
"""Pixels of a picture's longer side, at most."""

_AT_ONCE = 256  # images that are read at a time

Appearance: TypeAlias = NDArray[np.uint8] | tuple[str, ...]
"""A picture, (height, width, 3), or tokens as text."""


class NoAppearanceError(InputValueError):
    """Samples of a data set are neither pictures nor texts."""


def appearances(dataset: Dataset, numbers: Sequence[int]) -> dict[int, Appearance]:
    """Return how held-out samples look, by their numbers.

    Pictures are as they were before they were standardised, resized, cropped and padded as networks are
    given them, and then made smaller: at most 48 pixels a side. Where float32 that needs no preprocessing
    lies outside [0, 1], the range of a picture's own values is shown from black to white.

    Parameters
    ----------
    dataset
        Its `show` is asked, if it has one.
    numbers
        Of held-out samples, from 0.

    Raises
    ------
    NoAppearanceError
        If the samples are no pictures, and the data set has no `show`.
    ValueError, TypeError
        If `show` raises an error, or returns something else than it should.
    UnreadableImageError
        If a file is damaged.
    """
    samples = dataset.held_out
    if dataset.show is not None:
        return {number: _of_own(dataset.show, samples.ids[number]) for number in numbers}
    if not isinstance(samples, Images) or len(samples.shape) != 3 or samples.shape[0] not in (1, 3):
        raise NoAppearanceError(
            f"`show` of {dataset.name!r} must say how {samples.items} look that are no pictures, got none; "
            "give the data set one"
        )
    found: dict[int, Appearance] = {}
    for start in range(0, len(numbers), _AT_ONCE):
        some = np.array(numbers[start : start + _AT_ONCE], dtype=np.int64)
        pictures = _bytes(samples.raw(some), None if (of := samples.preprocessing) is None else of.white)
        for number, picture in zip(some.tolist(), pictures, strict=True):
            found[number] = _small(np.moveaxis(picture, 0, -1))
    return found


def _bytes(raw: Raw, white: int | None) -> NDArray[np.uint8]:
    """Return pixels from black, 0, to white, 255."""
    if white is not None:
        of_white: NDArray[np.uint8] = np.minimum(np.rint(raw * (255 / white)), 255).astype(np.uint8)
        return of_white
    low, high = raw.min(axis=(1, 2, 3), keepdims=True), raw.max(axis=(1, 2, 3), keepdims=True)
    within = (low >= 0) & (high <= 1)
    low, high = np.where(within, 0, low), np.where(within, 1, high)
    pixels: NDArray[np.uint8] = np.rint((raw - low) / np.maximum(high - low, 1e-30) * 255).astype(np.uint8)
    return pixels


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (height, width, 1 or 3) in three channels, and not larger than it may be."""
    height, width, _ = picture.shape
    coloured = np.ascontiguousarray(np.broadcast_to(picture, (height, width, 3)))
    scale = LARGEST / max(height, width)
    if scale >= 1:
        return coloured
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(coloured).resize(size, Image.Resampling.BOX))


def _of_own(show: Callable[[str], object], name: str) -> Appearance:
    """Return what a data set's own function says of a sample."""
    try:
        found = show(name)
    except Exception as error:
        raise InputValueError(
            f"`show` must say how {name!r} looks, but raised {type(error).__name__}: {error}; mend it"
        ) from error
    if isinstance(found, np.ndarray):
        shape = found.shape
        if found.dtype != np.uint8 or 0 in shape or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
            raise InputValueError(
                "`show` must return a picture of uint8, (height, width) or (height, width, 3), got "
                f"{found.dtype} of shape {shape}; convert it"
            )
        return _small(found.reshape(*shape[:2], -1))
    if isinstance(found, list | tuple) and all(isinstance(token, str) for token in found):
        return tuple(found)
    raise InputTypeError(
        f"`show` must return an array of uint8 or a list of texts, got {type(found).__name__}; see "
        "docs/data.md"
    )
