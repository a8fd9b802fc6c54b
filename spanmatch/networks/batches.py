"""Batches of training samples: shuffled, augmented and preprocessed.

Starts no processes, which a Dask worker may not do; files for a CUDA device are decoded by threads.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spanmatch.networks.data import AnySamples
from spanmatch.networks.data.samples import Arguments
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.training_tasks.training_task import Targets

# One part in so many of an image's height is what crop may shift it by: 4 rows of 32.
_CROP_SHARE = 8
_MOST_THREADS = 8


class Batch(NamedTuple):
    """Some samples: what a network takes of them, their labels, and which positions count, None for all."""

    arguments: Arguments
    labels: NDArray[np.int64]
    mask: NDArray[np.bool_] | None

    def targets(self, device: str) -> Targets:
        """Return what a network's output on a device is held to."""
        mask = None if self.mask is None else torch.from_numpy(self.mask).to(device)
        return Targets(torch.from_numpy(self.labels).to(device), mask)


def batches(images: AnySamples, recipe: Recipe, *, ahead: bool) -> Iterator[Batch]:
    """Yield one epoch's batches; all that is random is drawn first, from torch's generator.

    Parameters
    ----------
    images, recipe
        What is trained on, and batch size and augmentation, of images alone.
    ahead
        Prepare a batch while the one before is in use, files on several threads.
    """
    order = torch.randperm(len(images)).numpy()
    shifts = flips = None
    if "crop" in recipe.augment:
        most = images.shape[1] // _CROP_SHARE
        shifts = torch.randint(-most, most + 1, (len(images), 2)).numpy()
    if "flip" in recipe.augment:
        flips = torch.randint(0, 2, (len(images),)).numpy().astype(bool)

    def prepared(start: int) -> Batch:
        stop = start + recipe.batch_size
        index = order[start:stop]
        raw = images.raw(index, _threads(ahead))
        if shifts is not None:
            raw = cropped(cast("NDArray[Any]", raw), shifts[start:stop])
        if flips is not None:
            raw = flipped(cast("NDArray[Any]", raw), flips[start:stop])
        return _batch(images, index, raw)

    return _yielded(prepared, range(0, len(images), recipe.batch_size), ahead)


def ordered_batches(images: AnySamples, size: int, *, ahead: bool) -> Iterator[Batch]:
    """Yield batches in the images' own order, as they are.

    Parameters
    ----------
    images, size
        What is passed through a network, and images in a batch.
    ahead
        As in `batches`.
    """

    def prepared(start: int) -> Batch:
        index = np.arange(start, min(start + size, len(images)))
        return _batch(images, index, images.raw(index, _threads(ahead)))

    return _yielded(prepared, range(0, len(images), size), ahead)


def _batch(images: AnySamples, index: NDArray[np.int64], raw: Arguments) -> Batch:
    mask = None if images.mask is None else images.mask[index]
    return Batch(images.standardised(cast("Any", raw)), images.labels[index], mask)


def cropped(images: NDArray[Any], shifts: NDArray[np.int64]) -> NDArray[Any]:
    """Cut a window of its own size out of each image padded with zeros.

    ``shifts``, (n, 2), says how far down and right the window lies from where the image is.
    """
    most = int(np.abs(shifts).max())
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)))
    windows = sliding_window_view(padded, images.shape[2:], axis=(2, 3))
    return windows[np.arange(len(images)), :, shifts[:, 0] + most, shifts[:, 1] + most]


def flipped(images: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """Exchange left and right of the chosen images."""
    return np.where(chosen[:, np.newaxis, np.newaxis, np.newaxis], images[..., ::-1], images)


def _threads(ahead: bool) -> int:
    return min(_MOST_THREADS, os.cpu_count() or 1) if ahead else 1


def _yielded(prepared: Callable[[int], Batch], starts: range, ahead: bool) -> Iterator[Batch]:
    if not ahead:
        yield from map(prepared, starts)
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(prepared, starts[0])
        for start in starts[1:]:
            batch = waiting.result()
            waiting = pool.submit(prepared, start)
            yield batch
        yield waiting.result()
