"""CKA of whole maps from batches of samples, as the tools for heat maps of networks estimate it.

After Nguyen, Raghu and Kornblith 2021 (arXiv 2010.15327): the mean over batches of unbiased HSIC (Song et al.
2012).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from spanmatch.comparing.pairs import Column, Pair
from spanmatch.matching.inputs import FloatArray

LEAST_SAMPLES = 4
"""Of a batch: unbiased HSIC divides by n - 3."""
# What all samples have in common costs a Gram matrix in float32 digits; beyond so many, float64 sums it.
_LOST = 2.0**-24
_TOLERATED = 1e-6


def centred_gram(output: torch.Tensor, samples_first: int = 0) -> FloatArray:
    """Return the inner products of samples, each a whole output as one vector, U-centred.

    Parameters
    ----------
    output
        Of a layer, samples in the dimension `samples_first`.
    samples_first
        Which dimension that is.

    Returns
    -------
    ndarray, (n, n)
        Rows and columns sum to 0, and the diagonal is 0 (Székely and Rizzo 2014).
    """
    vectors = output.movedim(samples_first, 0).flatten(1)
    vectors = vectors.float() if vectors.dtype in (torch.float16, torch.bfloat16) else vectors
    gram = (vectors @ vectors.T).to("cpu", torch.float64).numpy()
    centred = u_centred(gram)
    if _LOST * np.linalg.norm(gram) > _TOLERATED * np.linalg.norm(centred):
        vectors = vectors.double()
        vectors = vectors - vectors.mean(dim=0)
        centred = u_centred((vectors @ vectors.T).cpu().numpy())
    return centred


def u_centred(gram: FloatArray) -> FloatArray:
    """Return an inner-product matrix, (n, n), less means of rows and columns so that HSIC is unbiased."""
    n = len(gram)
    off = gram - np.diag(gram.diagonal())
    rows = off.sum(axis=1) / (n - 2)
    off -= rows
    off -= rows[:, None]
    off += rows.sum() / (n - 1)
    np.fill_diagonal(off, 0)
    return off


class MinibatchSums:
    """Sums over batches of unbiased HSIC, of pairs of layers and of each with itself.

    Parameters
    ----------
    pairs
        Of layers.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._by_networks: dict[tuple[str, str], list[Pair]] = {}
        for pair in pairs:
            self._by_networks.setdefault((pair.x.network, pair.y.network), []).append(pair)
        self.crossed: dict[Pair, float] = dict.fromkeys(pairs, 0.0)
        self.own: dict[Column, float] = {column: 0.0 for pair in pairs for column in pair}
        self.batches = self.skipped = 0

    def add(self, grams: Mapping[Column, FloatArray]) -> None:
        """Add a batch: the U-centred Gram matrix of each layer."""
        n = len(next(iter(grams.values())))
        if n < LEAST_SAMPLES:
            self.skipped += 1
            return
        self.batches += 1
        scale = 1 / (n * (n - 3))
        for column, gram in grams.items():
            self.own[column] += scale * float(np.vdot(gram, gram))
        for pairs in self._by_networks.values():
            of_x, of_y = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
            x, y = (np.stack([grams[column].ravel() for column in side]) for side in (of_x, of_y))
            inner = scale * (x @ y.T)
            places = [{column: place for place, column in enumerate(side)} for side in (of_x, of_y)]
            for pair in pairs:
                self.crossed[pair] += float(inner[places[0][pair.x], places[1][pair.y]])

    def value(self, pair: Pair) -> float | None:
        """Return the estimate of a pair; None where it is undefined."""
        x, y = self.own[pair.x], self.own[pair.y]
        return None if min(x, y) <= 0 else self.crossed[pair] / math.sqrt(x) / math.sqrt(y)
