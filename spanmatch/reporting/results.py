"""The results of a study, as frozen rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from numpy import float64
from numpy.typing import NDArray

__all__ = [
    "ComparisonRow",
    "CriticalEpsilons",
    "EpochRow",
    "MeasureRow",
    "NetworkRow",
    "SimilarityRow",
    "SimpleMatchRow",
    "StudyResults",
]


@dataclass(frozen=True)
class SimilarityRow:
    """Maximum match of one layer of one pair of networks at one epsilon (Def. 3)."""

    layer: str
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


@dataclass(frozen=True)
class MeasureRow:
    """Value of one measure for one pair of layers of one pair of networks."""

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
    """Accuracy on held-out images, in [0, 1], of a network that classifies them."""
    loss: float | None = None
    """Loss on held-out images, where it is known."""
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
    """Accuracy on held-out images, in [0, 1]."""


@dataclass(frozen=True)
class StudyResults:
    """Everything a report shows."""

    study: str
    layers: tuple[str, ...]
    """In network order, input first."""
    comparisons: tuple[ComparisonRow, ...]
    networks: tuple[NetworkRow, ...]
    similarity: tuple[SimilarityRow, ...]
    """One row for every layer, comparison and epsilon."""
    simple_matches: tuple[SimpleMatchRow, ...]
    """May be empty: nothing matched, or the study did not ask for them."""
    critical_epsilons: tuple[CriticalEpsilons, ...]
    """One entry for every layer and comparison."""
    ledger: Mapping[str, Mapping[str, int]]
    """Stage (networks, segments, grams, profiles, matches) to its numbers `computed` and `reused`."""
    training: tuple[EpochRow, ...] = ()
    """One row for every epoch of every network that was trained; empty where their history is not known."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Layers that the study asked for and does not compare, each with the reason in words."""
    measures: tuple[MeasureRow, ...] = ()
    """One row for every measure, parameter, comparison and pair of layers; empty where none was asked for."""
