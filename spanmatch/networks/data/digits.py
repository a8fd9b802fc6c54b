"""The digits of scikit-learn, the data set that needs no download."""

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.data.images import Images
from spanmatch.networks.data.preprocessing import Preprocessing

_WHITE = 16


def scanned_digits() -> Dataset:
    """Load scikit-learn's bundled digits: 1,797 scans of 8 × 8 pixels, every third one held out.

    Pixels are standardised with the mean and the deviation of the training images.
    """
    pixels, labels = load_digits(return_X_y=True)
    held_out = np.arange(len(pixels)) % 3 == 2
    training = pixels[~held_out].reshape(-1, 1, 8, 8) / _WHITE
    preprocessing = Preprocessing(
        mean=(float(training.mean()),), deviation=(float(training.std()),), white=_WHITE
    )
    stored = pixels.astype(np.uint8).reshape(-1, 1, 8, 8)

    def part(chosen: NDArray[np.bool_]) -> Images:
        ids = tuple(f"digits/{index}" for index in np.flatnonzero(chosen))
        return Images(stored[chosen], labels[chosen].astype(np.int64), ids, preprocessing)

    return Dataset("digits", training=part(~held_out), held_out=part(held_out), classes=10)
