"""The statistic of layers, summed while batches stream by; the samples themselves while they are few."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import BLOCK_SAMPLES, Deviations, deviations
from spanmatch.matching.inputs import AnyArray
from spanmatch.matching.joint_sums import JointSums, Moments
from spanmatch.matching.side_by_side import Two


class Sums:
    """Moments of pairs of layers over the same samples.

    Samples are kept as they are until they take more memory than the moments would: fewer samples than
    neurons say as much in less room, and then only those moments are computed that somebody asks for.

    Parameters
    ----------
    sizes
        Number of neurons of each layer.
    pairs
        Of the layers' numbers. Each layer is paired with itself, too.
    keep
        Whether to keep samples however many they are.
    joint
        What sums.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        pairs: Collection[Two],
        *,
        keep: bool = False,
        joint: Callable[[Sequence[int], Collection[Two]], JointSums] = JointSums,
    ) -> None:
        self._joint = joint
        self._sizes = sizes
        self.pairs: list[Two] = sorted({*pairs, *((number, number) for number in range(len(sizes)))})
        self._kept: list[list[AnyArray]] = [[] for _ in sizes]
        self._summed: JointSums | None = None
        self._restored: Mapping[Two, Moments] = {}
        self._centred: dict[int, Deviations] = {}
        self._own: dict[Two, CoMoments] = {}
        self._keep = keep
        self.bytes = 0
        self._room = 8 * sum(sizes[i] * sizes[j] for i, j in self.pairs)
        self.n_samples = 0

    def add(self, layers: Sequence[AnyArray]) -> None:
        """Add samples of all layers, (n_samples, n) each."""
        self.bytes += sum(samples.nbytes for samples in layers)
        self.n_samples += len(layers[0])
        is_full = self.bytes > self._room and not self._keep
        for kept, samples in zip(self._kept, layers, strict=True):
            # what is kept is copied: it lies among a pass's activations, and room around it would not be used
            kept.append(samples if is_full else samples.copy(order="K"))
        if is_full:
            self._sum()

    def moments(self, pair: Two) -> Moments:
        """Return the moments of a pair; of samples that are kept they are computed now."""
        if self._restored:
            return self._restored[pair]
        if self._summed is None:
            numbers = sorted(set(pair))
            of = JointSums([self._sizes[number] for number in numbers], {_within(numbers, pair)})
            of.add([self.samples(number) for number in numbers])
            return of.moments(_within(numbers, pair))
        if self.bytes:
            self._sum()
        return self._summed.moments(pair)

    def comoments(self, pair: Two) -> CoMoments:
        """Return the co-moments alone, soon for many pairs in turn: deviations are kept until `rest`."""
        if not self.are_kept or self.n_samples > BLOCK_SAMPLES:
            return self.moments(pair).comoments
        if pair not in self._own:
            found = CoMoments.zeros(*(self._sizes[number] for number in pair))
            if self.n_samples:
                x, y = (self._deviations(number) for number in pair)
                found.update(x, y)
            if pair[0] != pair[1]:
                return found
            self._own[pair] = found
        return self._own[pair]

    def rest(self) -> None:
        """Forget what makes the next pair quick."""
        self._centred.clear()
        self._own.clear()

    def _deviations(self, number: int) -> Deviations:
        if number not in self._centred:
            self._centred[number] = deviations(self.samples(number))
        return self._centred[number]

    def samples(self, number: int) -> AnyArray:
        """Return the samples of a layer, where they are kept, (n_samples, n)."""
        kept = self._kept[number]
        if len(kept) > 1:
            self._kept[number] = kept = [np.concatenate(kept)]
        return kept[0]

    @property
    def are_kept(self) -> bool:
        """Whether samples are still there, and not only their sums."""
        return self._summed is None and not self._restored

    def restore(self, moments: Mapping[Two, Moments]) -> None:
        """Take moments of all pairs that were kept somewhere, to which nothing can be added."""
        self._restored = moments
        self.n_samples = next(iter(moments.values())).comoments.n_samples

    def _sum(self) -> None:
        if self._summed is None:
            self._summed = self._joint(self._sizes, self.pairs)
        self._summed.add([self.samples(number) for number in range(len(self._sizes))])
        self._kept = [[] for _ in self._sizes]
        self.bytes = 0


def _within(numbers: Sequence[int], pair: Two) -> Two:
    return numbers.index(pair[0]), numbers.index(pair[1])
