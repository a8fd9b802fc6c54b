"""The results of a study, as frozen rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from numpy import float32, float64, int64, uint8
from numpy.typing import NDArray

from spanmatch.reporting.names import paired_layers

__all__ = [
    "ComparisonRow",
    "CoverRow",
    "CriticalEpsilons",
    "EpochRow",
    "EssentialRow",
    "Exemplars",
    "GrowthRow",
    "MeasureRow",
    "NetworkRow",
    "Shown",
    "SimilarityRow",
    "SimpleMatchRow",
    "StudyResults",
    "Terms",
]


@dataclass(frozen=True)
class Terms:
    """What the samples of a study are called, and what its networks are judged by."""

    items: str = "images"
    """Plural: ``sequences`` where a network is shown text."""
    accuracy: str = "accuracy"
    """The share of right answers, such as ``next-token accuracy``."""
    perplexity: bool = False
    """Whether people look at the exponential of the loss."""


@dataclass(frozen=True)
class SimilarityRow:
    """Maximum match of one layer of one pair of networks at one epsilon (Def. 3)."""

    layer: str
    """Its name; both names, ``one ~ other``, where two different layers are compared, as in all rows."""
    checkpoint_x: str
    checkpoint_y: str
    epsilon: float
    similarity: float
    """`(matched_x + matched_y) / (neurons_x + neurons_y)`, in [0, 1]."""
    matched_x: int
    matched_y: int
    neurons_x: int
    """All neurons of the layer, dead ones included."""
    neurons_y: int
    dead_x: int
    dead_y: int
    samples: int
    offset_x: int = 0
    """Neurons that lie within epsilon of their own mean; 0 in results of versions that did not look."""
    offset_y: int = 0
    centre: str = "raw"
    """Whether activations are compared as they are, ``raw``, or less their means, ``mean``."""
    uncertain: int = 0
    """Neurons of which rounding or an unclear rank decides whether they match."""
    low: float | None = None
    """Similarity without the uncertain neurons; None in results of versions that did not tell."""
    high: float | None = None
    """Similarity with all of them."""


@dataclass(frozen=True)
class MeasureRow:
    """One measure of one pair of layers: its value, what chance gives, its error, and its held-out value."""

    layer_x: str
    layer_y: str
    """The same as `layer_x`, unless different layers are compared."""
    checkpoint_x: str
    checkpoint_y: str
    measure: str
    """Its name in the registry; other versions may know other measures."""
    parameter: float | None
    """Epsilon, of a measure that has one."""
    value: float | None
    """None where the measure is undefined."""
    samples: int
    centre: str = "mean"
    """``raw`` or ``mean``: of a measure that follows the profile; others always subtract means."""
    null_mean: float | None = None
    """Mean over the permutations; None without any."""
    threshold: float | None = None
    """What a value must exceed (or fall below, where less is closer) to clear its null at `level`."""
    p: float | None = None
    """(1 + number of permutations that are as close) / (1 + permutations)."""
    p_family: float | None = None
    """The same over all layers of the pair of networks, or all pairs of them, by the maximum statistic."""
    calibrated: float | None = None
    """max(0, (value - threshold) / (1 - threshold)), of a measure whose greatest value is 1."""
    permutations: int = 0
    level: float | None = None
    error: float | None = None
    """Standard error, by the jackknife over folds of images."""
    held_out: float | None = None
    """Fitted to all folds but one, evaluated on that one; mean over the folds."""
    folds: int = 0
    reason: str = ""
    """Why `value` is None."""

    @property
    def layers(self) -> str:
        """Name of the layer, or of both, as other rows have it."""
        return paired_layers(self.layer_x, self.layer_y)

    @property
    def cleared(self) -> bool | None:
        """Whether the value is more than chance gives at its level; None where that was not asked."""
        return None if self.p is None or self.level is None else self.p <= self.level


@dataclass(frozen=True)
class GrowthRow:
    """A measure over the first folds of the images, which tells whether it has settled."""

    layer_x: str
    layer_y: str
    checkpoint_x: str
    checkpoint_y: str
    measure: str
    parameter: float | None
    centre: str
    images: int
    """Images in these folds; the last row has all of them."""
    value: float | None

    @property
    def layers(self) -> str:
        """Name of the layer, or of both, as other rows have it."""
        return paired_layers(self.layer_x, self.layer_y)


@dataclass(frozen=True)
class CoverRow:
    """How much of the simple matches of a layer another order of searching leaves as it is."""

    layer: str
    checkpoint_x: str
    checkpoint_y: str
    centre: str
    epsilon: float
    orders: int
    """Random orders that were tried."""
    fewest: int
    """Simple matches of the smallest cover."""
    most: int
    recurring: float | None
    """Share of all simple matches found that every order finds; None where nothing matches."""
    sizes: tuple[tuple[int, ...], ...] = ()
    """For each order the sizes |x| + |y| of its simple matches, ascending."""
    permuted: tuple[int, ...] | None = None
    """The same of the cover that chance gives, with y's images permuted once; None where it is not known."""


@dataclass(frozen=True)
class EssentialRow:
    """Which neurons no match can do without, for one layer of one pair at one epsilon.

    Neurons are numbered x before y: i for ("x", i), neurons_x + j for ("y", j).
    """

    layer: str
    checkpoint_x: str
    checkpoint_y: str
    centre: str
    epsilon: float
    neurons_x: int
    edges: tuple[tuple[int, int], ...]
    """u is essential for v, so that v leaves the maximum match as soon as u alone is taken out, exactly where
    edges (u, v) lead from u to v: of edges that follow from others, none is kept."""


@dataclass(frozen=True)
class SimpleMatchRow:
    """One simple match, found as a minimal match of one neuron (Defs. 4 and 9)."""

    layer: str
    checkpoint_x: str
    checkpoint_y: str
    epsilon: float
    neuron: tuple[str, int]
    """Side ("x" or "y") and index of the neuron for which the match is minimal."""
    x: tuple[int, ...]
    y: tuple[int, ...]
    centre: str = "raw"


@dataclass(frozen=True)
class CriticalEpsilons:
    """The smallest epsilon at which each neuron of a layer is in the maximum match."""

    layer: str
    checkpoint_x: str
    checkpoint_y: str
    x: NDArray[float64]
    """Shape (neurons_x,); infinite for a dead neuron, which never matches but still counts."""
    y: NDArray[float64]
    """Shape (neurons_y,)."""
    centre: str = "raw"
    errors: tuple[NDArray[float64], NDArray[float64]] | None = None
    """Standard errors of either side by the jackknife; infinite where a neuron is dead in some folds."""
    held_out: tuple[NDArray[float64], NDArray[float64]] | None = None
    """Critical epsilons of held-out residuals, of either side."""


@dataclass(frozen=True)
class Exemplars:
    """The samples at which each neuron of one layer of one network is strongest.

    A sample counts by the largest activation over its positions.
    """

    layer: str
    """One layer's own name."""
    checkpoint: str
    """As `ComparisonRow.checkpoint_x`."""
    samples: NDArray[int64]
    """Shape (neurons, k): numbers of samples, in the order of the data from 0, strongest first.

    -1 where there are fewer than k; of equal activations the smaller number comes first.
    """
    values: NDArray[float32]
    """Shape (neurons, k): their activations, NaN where there are fewer."""
    positions: NDArray[int64]
    """Shape (neurons, k): where in the layer's map, as a flat index; 0 where it has one position."""
    shape: tuple[int, ...]
    """Of the layer's map; () where there is one position."""


@dataclass(frozen=True)
class Shown:
    """How samples look that a report shows: pictures or texts, by their number."""

    pictures: Mapping[int, NDArray[uint8]]
    """Shape (height, width, 3), at most 48 pixels a side."""
    texts: Mapping[int, tuple[str, ...]]
    """Its tokens as text, so that a position can be marked."""
    remark: str = ""
    """Why some samples are not shown, in words; empty where all are that matched neurons are strongest at."""
    digest: str = ""
    """Of the samples: pictures of samples with the same digest are the same."""


@dataclass(frozen=True)
class ComparisonRow:
    """One compared pair; pairs of one group are averaged, groups are drawn apart.

    A pair is two networks, one network at two checkpoints, or one checkpoint and itself; a group is called
    after what its pairs have in common.
    """

    checkpoint_x: str
    checkpoint_y: str
    group: str


@dataclass(frozen=True)
class NetworkRow:
    """One network at one moment of its training, or as it was given."""

    network: str
    """Its name: ``seed0`` for one that the study trained, or whatever the study calls it."""
    checkpoint: str
    accuracy: float | None
    """Share of right answers on held-out samples, in [0, 1], of a network that is judged by them."""
    loss: float | None = None
    """Loss on held-out samples, where it is known."""
    epoch: int | None = None
    """Finished epochs of training, where they are known."""


@dataclass(frozen=True)
class EpochRow:
    """How one epoch of one network's training went."""

    network: str
    """Its name, as in `NetworkRow`."""
    epoch: int
    """From 1."""
    learning_rate: float
    training_loss: float
    held_out_loss: float
    accuracy: float
    """Share of right answers on held-out samples, in [0, 1]."""


@dataclass(frozen=True)
class StudyResults:
    """Everything a report shows."""

    study: str
    layers: tuple[str, ...]
    """Those, or pairs of those, that are looked into, in network order, input first.

    A grid has measures of further pairs, and may have none that is looked into.
    """
    comparisons: tuple[ComparisonRow, ...]
    networks: tuple[NetworkRow, ...]
    similarity: tuple[SimilarityRow, ...]
    """One row for every one of `layers`, comparison and epsilon."""
    simple_matches: tuple[SimpleMatchRow, ...]
    """May be empty: nothing matched, or the study did not ask for them."""
    critical_epsilons: tuple[CriticalEpsilons, ...]
    """One entry for every one of `layers` and comparison."""
    ledger: Mapping[str, Mapping[str, int]]
    """Stage (networks, segments, grams, profiles, matches) to its numbers `computed` and `reused`."""
    training: tuple[EpochRow, ...] = ()
    """One row for every epoch of every network that was trained; empty where their history is not known."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Layers that the study asked for and does not compare, each with the reason in words."""
    measures: tuple[MeasureRow, ...] = ()
    """One row for every measure, parameter, centre, comparison and pair of layers."""
    growth: tuple[GrowthRow, ...] = ()
    """Empty where images are in no folds."""
    covers: tuple[CoverRow, ...] = ()
    essential: tuple[EssentialRow, ...] = ()
    exemplars: tuple[Exemplars, ...] = ()
    """One entry for every layer of every network that is compared; empty where the study asks for none."""
    shown: Shown = Shown({}, {})
    terms: Terms = Terms()
