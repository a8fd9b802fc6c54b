"""Samples as the explorer shows them: the strongest of each neuron, pictures in one sprite, and texts."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spanmatch.reporting.explorer.packed import Arrays, smallest, to_half
from spanmatch.reporting.results import Exemplars, Shown, StudyResults

__all__ = ["add_exemplars", "sprite_of"]

_MOST_BYTES = 3_000_000
_SIDES = (48, 32, 24, 16, 12)  # of one picture, in pixels
_SHARP = 32  # smaller ones are enlarged to about this by whole pixels, which browsers would blur
_QUALITY = 80


def add_exemplars(results: StudyResults, arrays: Arrays) -> dict[str, Any]:
    """Return how samples are shown, and add each neuron's strongest ones to `arrays`.

    Returns
    -------
    dict
        `exemplars`, one of each layer and network; `sprite`, with the places of pictures in it, None where
        there are none; `texts`, tokens by sample; `remark`.
    """
    entries = results.exemplars
    arrays.add("samples", smallest(_joined([one.samples for one in entries]) + 1))
    arrays.add("values", to_half(_joined([one.values for one in entries])))
    arrays.add("positions", smallest(_joined([one.positions for one in entries])))
    return {
        "exemplars": [_described(one) for one in entries],
        "sprite": sprite_of(results.shown.pictures),
        "texts": _texts(results.shown),
        "remark": results.shown.remark,
    }


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, np.int64), *(array.ravel() for array in arrays)])


def _described(one: Exemplars) -> dict[str, Any]:
    neurons, kept = one.samples.shape
    return {
        "layer": one.layer,
        "checkpoint": one.checkpoint,
        "neurons": neurons,
        "kept": kept,
        "shape": one.shape,
    }


def _texts(shown: Shown) -> dict[str, Sequence[str]]:
    return {str(number): tokens for number, tokens in sorted(shown.texts.items())}


def sprite_of(pictures: Mapping[int, NDArray[np.uint8]]) -> dict[str, Any] | None:
    """Put pictures side by side in one image, smaller ones where it would take too many bytes.

    Returns
    -------
    dict
        `image`, a data address; `side`, of a picture in pixels; `columns` and `rows`; and `numbers`, of the
        samples, row by row. None of no pictures.
    """
    if not pictures:
        return None
    numbers = sorted(pictures)
    columns = int(np.ceil(np.sqrt(len(numbers))))
    largest = max(max(picture.shape[:2]) for picture in pictures.values())
    image, side = "", 0
    most = max(largest, largest * (_SHARP // largest))
    for side in [min(most, _SIDES[0]), *(other for other in _SIDES if other < most)]:
        sheet = _sheet([pictures[number] for number in numbers], columns, side)
        image = _written(sheet)
        if len(image) <= _MOST_BYTES:
            break
    return {
        "image": image,
        "side": side,
        "columns": columns,
        "rows": -(-len(numbers) // columns),
        "numbers": numbers,
    }


def _sheet(pictures: Sequence[NDArray[np.uint8]], columns: int, side: int) -> Image.Image:
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * side, rows * side))
    for place, picture in enumerate(pictures):
        scale = side / max(picture.shape[:2])
        height, width = (max(1, round(extent * scale)) for extent in picture.shape[:2])
        how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        tile = Image.fromarray(picture).resize((width, height), how)
        row, column = divmod(place, columns)
        left, top = (side - width) // 2, (side - height) // 2
        sheet.paste(tile, (column * side + left, row * side + top))
    return sheet


def _written(sheet: Image.Image) -> str:
    """Write an image as PNG, or as JPEG where that takes less than half: photographs do."""
    lossless, lossy = io.BytesIO(), io.BytesIO()
    sheet.save(lossless, format="png", optimize=True)
    sheet.save(lossy, format="jpeg", quality=_QUALITY)
    kind, kept = ("jpeg", lossy) if 2 * lossy.tell() < lossless.tell() else ("png", lossless)
    return f"data:image/{kind};base64,{base64.b64encode(kept.getvalue()).decode('ascii')}"
