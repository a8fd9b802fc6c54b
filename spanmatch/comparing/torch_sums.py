"""The sums of `JointSums`, by torch: on all of its threads, which another BLAS would keep waiting."""

from collections.abc import Collection, Sequence

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
        means: list[FloatArray] = []
        centred: list[torch.Tensor] = []
        for layer in layers:
            values = torch.tensor(layer, dtype=torch.float64)
            mean = values.mean(dim=0)
            values -= mean
            rest = values.mean(dim=0)
            if bool((rest.square() > torch.finfo(torch.float64).eps / 4 * values.square().mean(dim=0)).any()):
                values -= rest  # an offset beyond some 1e8 deviations
            means.append(np.stack(two_sum(mean.numpy(), rest.numpy())))
            centred.append(values)
        squares = [torch.linalg.vecdot(values, values) for values in centred]
        for i, j in self._pairs:
            products: FloatArray = (centred[i].T @ centred[j]).numpy()
            if i == j:
                products = (products + products.T) / 2
            found = CoMoments(products, means[i], means[j], count, count + _OF_DEVIATIONS)
            sums = squares[i] @ squares[j], squares[i].sum(), squares[j].sum()
            rows = RowMoments(
                np.array([float(each) for each in sums]),
                (squares[j] @ centred[i]).numpy(),
                (squares[i] @ centred[j]).numpy(),
                means[i],
                means[j],
                count,
            )
            self._moments[i, j] = self._added((i, j), Moments(found, rows))
        self.n_samples += count

    def _added(self, pair: Two, block: Moments) -> Moments:
        if pair not in self._moments:
            return block
        before = self._moments[pair]
        rows = RowMoments.merged([(before.rows, before.comoments), (block.rows, block.comoments)])
        return Moments(before.comoments + block.comoments, rows)
