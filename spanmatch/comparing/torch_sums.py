"""The sums of `JointSums`, by torch: on all of its threads, which another BLAS would keep waiting."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import two_sum
from spanmatch.matching.inputs import AnyArray, FloatArray
from spanmatch.matching.joint_sums import JointSums, Moments
from spanmatch.matching.row_moments import RowMoments
from spanmatch.matching.side_by_side import Two

# Of a deviation two roundings of either factor, and what its error squared adds.
_OF_DEVIATIONS = 5
# Of a layer with itself so many neurons at a time are multiplied with those up to them, and no others.
_ROWS = 64


class TorchSums(JointSums):
    """An accumulator of the moments of pairs of layers over the same samples, in float64.

    Its certificate is wider than that of `JointSums`: of torch's products no order of summation is known, so
    that they may err by one rounding for each sample of a block.
    """

    def __init__(self, sizes: Sequence[int], pairs: Collection[Two]) -> None:
        super().__init__(sizes, pairs)
        self._pairs = list(pairs)
        self._moments: dict[Two, Moments] = {}

    def moments(self, pair: Two) -> Moments:
        """Return what was summed of a pair; not copied."""
        return self._moments.get(pair) or super().moments(pair)

    def _add_block(self, layers: Sequence[AnyArray]) -> None:
        count = len(layers[0])
        if not count:
            return
        centred = [_Centred.of(layer) for layer in layers]
        for i, j in self._pairs:
            x, y = centred[i], centred[j]
            products = x.own if i == j else (x.values @ y.values.T).numpy()
            found = CoMoments(products, x.mean, y.mean, count, count + _OF_DEVIATIONS)
            sums = x.squares @ y.squares, x.squares.sum(), y.squares.sum()
            of_x = (x.values @ y.squares).numpy()
            of_y = of_x if i == j else (y.values @ x.squares).numpy()
            rows = RowMoments(np.array([float(each) for each in sums]), of_x, of_y, x.mean, y.mean, count)
            self._moments[i, j] = self._added((i, j), Moments(found, rows))
        self.n_samples += count

    def _added(self, pair: Two, block: Moments) -> Moments:
        if pair not in self._moments:
            return block
        before = self._moments[pair]
        rows = RowMoments.merged([(before.rows, before.comoments), (block.rows, block.comoments)])
        return Moments(before.comoments + block.comoments, rows)


@dataclass(frozen=True, eq=False)
class _Centred:
    """A block of samples of a layer less its mean.

    Attributes
    ----------
    values
        Deviations, (n, n_samples).
    own
        Their inner products, (n, n), symmetric to the last bit.
    mean
        As `CoMoments.mean_x`, (2, n).
    squares
        Squared length of each sample, (n_samples,).
    """

    values: torch.Tensor
    own: FloatArray
    mean: FloatArray
    squares: torch.Tensor

    @classmethod
    def of(cls, layer: AnyArray) -> "_Centred":
        """Centre a block, (n_samples, n), of either order in memory."""
        values = torch.from_numpy(layer.T).to(torch.float64, copy=True)
        mean = values.mean(dim=1)
        values -= mean[:, None]
        rest = values.mean(dim=1)
        own = _own_products(values)
        if bool((len(layer) * rest.square() > torch.finfo(torch.float64).eps / 4 * own.diagonal()).any()):
            values -= rest[:, None]  # an offset beyond some 1e8 deviations
            own = _own_products(values)
        squares = values.new_ones(len(values)) @ values.square()
        return cls(values, own.numpy(), np.stack(two_sum(mean.numpy(), rest.numpy())), squares)


def _own_products(values: torch.Tensor) -> torch.Tensor:
    """Return the inner products of rows, (n, n): those below the diagonal are computed, and mirrored."""
    n = len(values)
    products = values.new_zeros(n, n)
    for start in range(0, n, _ROWS):
        end = start + _ROWS
        torch.mm(values[start:end], values[:end].T, out=products[start:end, :end])
    return products.tril() + products.tril(-1).T
