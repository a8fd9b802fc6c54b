"""Pairs of layers with known structure, to measure matching on."""

import numpy as np
from numpy.typing import NDArray

Activations = NDArray[np.float32]
Pair = tuple[Activations, Activations]


def relu_features(
    rng: np.random.Generator, samples: int, neurons: int, causes: int, noise: tuple[float, float]
) -> Pair:
    """ReLU features of a few common causes; the neurons' own noise grows from one level to the other.

    Entangled: every neuron is a little of every cause, so matches are few and large.
    """
    common = rng.standard_normal((samples, causes), dtype=np.float32)
    levels = np.geomspace(*noise, neurons).astype(np.float32)

    def side() -> Activations:
        weights = rng.standard_normal((causes, neurons)).astype(np.float32) / np.float32(causes**0.5)
        activations = common @ weights + levels * rng.standard_normal((samples, neurons), dtype=np.float32)
        return np.maximum(activations, 0)

    return side(), side()


def planted_blocks(
    rng: np.random.Generator, samples: int, neurons: int, strangers: int, largest: int = 40
) -> Pair:
    """Blocks of 1 to `largest` neurons that span the same space on both sides, and strangers; shuffled."""
    sides: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    left = neurons - strangers
    while left:
        size = min(left, int(rng.integers(1, largest + 1)))
        left -= size
        directions = np.linalg.qr(rng.standard_normal((samples, size)))[0]
        for side in sides:
            side.append(directions @ np.linalg.qr(rng.standard_normal((size, size)))[0])
    unit = samples**-0.5
    for side in sides:
        side.append(unit * rng.standard_normal((samples, strangers)))
    x, y = (
        (np.hstack(side) + 1e-3 * unit * rng.standard_normal((samples, neurons)))[:, rng.permutation(neurons)]
        for side in sides
    )
    return x.astype(np.float32), y.astype(np.float32)
