"""Positions of a map that are samples: all, some drawn for each image, or their mean.

The draw is the same for every network, on every machine and in every batch.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spanmatch.errors import InputValueError

Positions = int | Literal["all", "mean"]


def check_positions(positions: Positions) -> None:
    """See that `positions` can be had.

    Raises
    ------
    ValueError
        If not.
    """
    if positions in ("all", "mean"):
        return
    if isinstance(positions, bool) or not isinstance(positions, int) or positions < 1:
        message = f"`positions` must be 'all', 'mean' or a number of at least 1, got {positions!r}"
        raise InputValueError(message)


def draw_positions(
    image_ids: Sequence[str],
    total: int,
    wanted: int,
    seed: int,
    counts: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Draw positions for each image, in ascending order and none twice.

    The draw depends on `seed`, the image's id and `total` alone: every network with maps of that size has the
    same positions, and more of them contain fewer. The stream is Philox's raw one, which is the same in
    every version of NumPy.

    Parameters
    ----------
    image_ids
        One for each image.
    total
        Positions that there are.
    wanted
        Positions to draw, at most `total`.
    seed
        Another gives other positions.
    counts
        (images, total): which positions count. Others are drawn where an image has fewer that do.

    Returns
    -------
    array of int64
        (images, wanted).
    """
    drawn = np.empty((len(image_ids), wanted), dtype=np.int64)
    for row, image_id in enumerate(image_ids):
        key = hashlib.sha256(f"{seed}\n{total}\n{image_id}".encode()).digest()[:16]
        ranks = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(total)
        if counts is not None:
            ranks[~counts[row]] = np.iinfo(ranks.dtype).max
        drawn[row] = np.sort(np.argpartition(ranks, wanted - 1)[:wanted])
    return drawn


def select_positions(
    values: torch.Tensor,
    positions: Positions,
    image_ids: Sequence[str],
    seed: int,
    counts: torch.Tensor | None = None,
    *,
    precision: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return the wanted positions of activations (images, positions, neurons).

    Parameters
    ----------
    values, positions, image_ids, seed
        Activations, which of their positions are wanted, and what a draw depends on.
    counts
        (images, positions): which of them count; all for None. What is left out is NaN.
    precision
        In which means are taken.
    """
    total = values.shape[1]
    if positions == "mean":
        return _mean(values, counts, precision)
    if positions != "all" and positions < total:
        known = None if counts is None else counts.cpu().numpy()
        drawn = torch.from_numpy(draw_positions(image_ids, total, positions, seed, known)).to(values.device)
        rows = torch.arange(len(values), device=values.device).unsqueeze(1)
        values, counts = values[rows, drawn], None if counts is None else counts[rows, drawn]
    return values if counts is None else values.masked_fill(~counts.unsqueeze(2), torch.nan)


def _mean(values: torch.Tensor, counts: torch.Tensor | None, precision: torch.dtype) -> torch.Tensor:
    if counts is None:
        return values.mean(dim=1, keepdim=True, dtype=precision)
    kept = values.masked_fill(~counts.unsqueeze(2), 0)
    return kept.sum(dim=1, keepdim=True, dtype=precision) / counts.sum(dim=1)[:, None, None]
