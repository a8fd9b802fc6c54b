"""Data sets by name: images with stable ids, split into training and held-out images.

Apart from training because extraction needs the held-out images alone, and their digest names them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Images:
    """Images with their labels and ids.

    Attributes
    ----------
    pixels
        (n_images, channels, height, width), float32, preprocessed.
    labels
        (n_images,), int64.
    ids
        One stable name for each image.
    """

    pixels: NDArray[np.float32]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """Digest of ids, labels and preprocessed pixels."""
        digest = hashlib.sha256("\n".join(self.ids).encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        digest.update(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels, dtype="<f4").data)
        return digest.hexdigest()

    def slice(self, start: int, stop: int) -> "Images":
        """Return images `start` to `stop`, without a copy."""
        return Images(self.pixels[start:stop], self.labels[start:stop], self.ids[start:stop])


@dataclass(frozen=True)
class Dataset:
    """A data set split into training and held-out images."""

    name: str
    training: Images
    held_out: Images

    @property
    def digest(self) -> str:
        """Digest of both parts."""
        return hashlib.sha256(f"{self.training.digest} {self.held_out.digest}".encode()).hexdigest()


def digits() -> Dataset:
    """Load scikit-learn's bundled digits: 1,797 scans of 8 × 8 pixels, every third one held out.

    Pixels are standardised with the mean and the deviation of the training images.
    """
    from sklearn.datasets import load_digits  # takes a second to import

    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels / 16.0).reshape(-1, 1, 8, 8)
    held_out = np.arange(len(pixels)) % 3 == 2
    mean, deviation = pixels[~held_out].mean(), pixels[~held_out].std()
    pixels = ((pixels - mean) / deviation).astype(np.float32)

    def part(chosen: NDArray[np.bool_]) -> Images:
        ids = tuple(f"digits/{index}" for index in np.flatnonzero(chosen))
        return Images(pixels[chosen], labels[chosen].astype(np.int64), ids)

    return Dataset("digits", training=part(~held_out), held_out=part(held_out))


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": digits}


@cache
def load_dataset(name: str) -> Dataset:
    """Load a data set, once for each process.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in DATASETS:
        message = f"`dataset` must be one of: {', '.join(sorted(DATASETS))}; got {name!r}"
        raise ValueError(message)
    return DATASETS[name]()
