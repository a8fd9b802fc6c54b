"""The sums of `JointSums`, by torch: on all of its threads, which another BLAS would keep waiting."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spanmatch.errors import InputValueError
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

    Parameters
    ----------
    sizes, pairs
        As of `JointSums`.
    device
        Where blocks are multiplied; it has float64. What they come to is added up on the host.
    """

    def __init__(
        self, sizes: Sequence[int], pairs: Collection[Two], device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(sizes, pairs)
        self._device = device
        self._pairs = list(pairs)
        self._moments: dict[Two, Moments] = {}

    def moments(self, pair: Two) -> Moments:
        """Return what was summed of a pair; not copied."""
        return self._moments.get(pair) or super().moments(pair)

    def _add_block(self, layers: Sequence[AnyArray]) -> None:
        if not len(layers[0]):
            return
        try:
            self._add_centred([_Centred.of(layer, self._device) for layer in layers])
        except torch.OutOfMemoryError as error:
            raise InputValueError(
                f"`loader` must give batches for whose statistic there is room on {self._device}, got "
                f"{len(layers[0]):,} samples of {sum(self._sizes):,} neurons at once; use smaller batches, "
                "fewer `layers`, or positions='mean'"
            ) from error

    def _add_centred(self, centred: "Sequence[_Centred]") -> None:
        count = centred[0].values.shape[1]
        for i, j in self._pairs:
            x, y = centred[i], centred[j]
            products = x.own if i == j else _on_host(x.values @ y.values.T)
            found = CoMoments(products, x.mean, y.mean, count, count + _OF_DEVIATIONS)
            sums = x.squares @ y.squares, x.squares.sum(), y.squares.sum()
            of_x = _on_host(x.values @ y.squares)
            of_y = of_x if i == j else _on_host(y.values @ x.squares)
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
    def of(cls, layer: AnyArray, device: torch.device | str) -> "_Centred":
        """Centre a block, (n_samples, n), of either order in memory, on a device."""
        values = torch.from_numpy(layer.T).to(device).to(torch.float64, copy=True)
        mean = values.mean(dim=1)
        values -= mean[:, None]
        rest = values.mean(dim=1)
        own = _own_products(values)
        if bool((len(layer) * rest.square() > torch.finfo(torch.float64).eps / 4 * own.diagonal()).any()):
            values -= rest[:, None]  # an offset beyond some 1e8 deviations
            own = _own_products(values)
        squares = values.new_ones(len(values)) @ values.square()
        both = np.stack(two_sum(_on_host(mean), _on_host(rest)))
        return cls(values, _on_host(own), both, squares)


def statistic_device(devices: Iterable[torch.device]) -> torch.device:
    """Return where to sum what networks give: on the first GPU among these that has float64, else the CPU."""
    for device in devices:
        try:
            torch.zeros(1, dtype=torch.float64, device=device)
        except (RuntimeError, TypeError):  # such as mps, which has none
            continue
        if device.type != "cpu":
            return device
    return torch.device("cpu")


def _on_host(tensor: torch.Tensor) -> FloatArray:
    return tensor.cpu().numpy()


def _own_products(values: torch.Tensor) -> torch.Tensor:
    """Return the inner products of rows, (n, n): those below the diagonal are computed, and mirrored."""
    n = len(values)
    products = values.new_zeros(n, n)
    for start in range(0, n, _ROWS):
        end = start + _ROWS
        torch.mm(values[start:end], values[:end].T, out=products[start:end, :end])
    return products.tril() + products.tril(-1).T
