"""CKA of whole maps from batches of samples, as the tools for heat maps of networks estimate it.

After Nguyen, Raghu and Kornblith 2021 (arXiv 2010.15327): the mean over batches of unbiased HSIC (Song et al.
2012). Everything is computed by torch: threads of another BLAS would wait in its way.
"""

import math
from collections.abc import Mapping, Sequence

import torch

from spanmatch.comparing.pairs import Column, Pair
from spanmatch.networks.layers import Layer, by_position
from spanmatch.networks.padding import Counts, counting
from spanmatch.networks.passes import Activations, Take

LEAST_SAMPLES = 4
"""Of a batch: unbiased HSIC divides by n - 3."""
# Of outputs in memory so many numbers are centred and multiplied at a time: they stay in a processor's cache,
# and no output is copied as a whole.
_PART_NUMBERS = 2**19


# Of a value, by as many the same may differ from sample to sample.
_ROUNDINGS = 4


class WholeGrams:
    """Inner products of samples, each a whole output as one vector, U-centred (Székely and Rizzo 2014)."""

    def __init__(self) -> None:
        self.of: dict[Column, torch.Tensor] = {}
        """Of the present batch: (n, n), float64, on the host; rows sum to 0, and the diagonal is 0."""

    def add(self, column: Column, output: torch.Tensor, samples: int) -> None:
        """Take the output of a layer in the present batch.

        Parameters
        ----------
        column
            The layer.
        output
            Of the network.
        samples
            Which of its dimensions is that of samples.
        """
        vectors = output.movedim(samples, 0).flatten(1)
        vectors = vectors.float() if vectors.dtype in (torch.float16, torch.bfloat16) else vectors
        self.of[column] = u_centred(centred_gram(vectors))


class Beside:
    """Takes activations, and beside them the Gram matrix of whole outputs.

    Parameters
    ----------
    take
        Gives the activations.
    grams
        Where Gram matrices are put.
    network
        The network's name.
    """

    def __init__(self, take: Take, grams: WholeGrams, network: str) -> None:
        self._take, self._grams, self._network = take, grams, network

    def __call__(self, layer: Layer, output: object, ids: Sequence[str], counts: Counts) -> Activations:
        """Return the activations of a layer, and add its outputs' Gram matrix."""
        values = self._take(layer, output, ids, counts)
        arranged = by_position(layer, output, len(ids))
        assert isinstance(output, torch.Tensor)
        assert layer.arrangement is not None
        counted = counting(counts, arranged.shape[1])
        place = layer.arrangement.images
        if counted is not None:
            output, place = arranged.masked_fill(~counted.unsqueeze(2), 0), 0
        elif output.shape[place] != len(ids):  # samples and positions are one dimension
            output, place = arranged, 0
        self._grams.add(Column(self._network, layer.name), output, place)
        return values


def centred_gram(vectors: torch.Tensor) -> torch.Tensor:
    """Return inner products of vectors, (n, features), less their mean: (n, n), float64, on the host.

    Products are those of the vectors' precision, without what all have in common, which would cost them
    digits; they are summed in float64. Vectors that differ by rounding alone give zeros.
    """
    n, features = vectors.shape
    on_host = vectors.device.type == "cpu"
    size = max(1, min(features, _PART_NUMBERS // max(n, 1) if on_host else features))
    room = vectors.new_empty(n, size)
    gram = torch.zeros(n, n, dtype=torch.float64)
    of_means = 0.0
    for part in vectors.split(size, dim=1):
        mean = part.mean(dim=0)
        centred = torch.sub(part, mean, out=room[:, : part.shape[1]])
        gram += (centred @ centred.T).to("cpu", torch.float64)
        of_means += float(mean.square().sum())
    # less what rounding has left in common, however many samples a mean is of
    of_deviations = float(gram.trace() - gram.sum() / n)
    rounding = _ROUNDINGS * torch.finfo(vectors.dtype).eps
    if of_deviations <= rounding**2 * (of_deviations + n * of_means):
        return torch.zeros_like(gram)
    return gram


def u_centred(gram: torch.Tensor) -> torch.Tensor:
    """Return an inner-product matrix, (n, n), less means of rows and columns so that HSIC is unbiased."""
    n = len(gram)
    if n < LEAST_SAMPLES:
        return torch.zeros_like(gram)
    off = gram - gram.diagonal().diag()
    rows = off.sum(dim=1) / (n - 2)
    off += rows.sum() / (n - 1) - rows - rows[:, None]
    return off.fill_diagonal_(0)


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
        self.skipped = 0
        """Batches of too few samples."""

    def add(self, grams: Mapping[Column, torch.Tensor]) -> None:
        """Add a batch: the U-centred Gram matrix of each layer."""
        n = len(next(iter(grams.values())))
        if n < LEAST_SAMPLES:
            self.skipped += 1
            return
        scale = 1 / (n * (n - 3))
        for column, gram in grams.items():
            self.own[column] += scale * float(gram.square().sum())
        for pairs in self._by_networks.values():
            of_x, of_y = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
            x, y = (torch.stack([grams[column].flatten() for column in side]) for side in (of_x, of_y))
            inner = (scale * (x @ y.T)).tolist()
            places = [{column: place for place, column in enumerate(side)} for side in (of_x, of_y)]
            for pair in pairs:
                self.crossed[pair] += inner[places[0][pair.x]][places[1][pair.y]]

    def value(self, pair: Pair) -> float | None:
        """Return the estimate of a pair; None where it is undefined."""
        x, y = self.own[pair.x], self.own[pair.y]
        if min(x, y) <= 0:
            return None
        return min(max(self.crossed[pair] / math.sqrt(x) / math.sqrt(y), -1.0), 1.0)
