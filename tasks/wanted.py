"""What a study compares, with everything it refers to resolved; stages plan their units from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, NamedTuple

from spanmatch.matching.centring import CENTRES, Centre
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.precision import StoredDtype
from spanmatch.networks.recipe import Recipe


class Checkpoint(NamedTuple):
    """A network at a moment of its training."""

    network: str
    moment: str

    @property
    def label(self) -> str:
        """What tables and reports call it."""
        return f"{self.network}-{self.moment}"

    @classmethod
    def of_label(cls, label: str) -> "Checkpoint":
        """Return the checkpoint that is called so."""
        network, _, moment = label.rpartition("-")
        return cls(network, moment)


class Comparison(NamedTuple):
    """Two checkpoints whose layers are compared."""

    x: Checkpoint
    y: Checkpoint

    @property
    def group(self) -> str:
        """What its results are averaged with: all comparisons of the same moments."""
        if self.x == self.y:
            return "itself"
        return self.x.moment if self.x.moment == self.y.moment else f"{self.x.moment} ~ {self.y.moment}"


class Resample(NamedTuple):
    """Of which images a profile is: all of them, or a part, or with those of one side permuted.

    Attributes
    ----------
    kind
        ``whole``; ``null``: permuted, `number` says by which permutation; ``without``: all folds but one;
        ``first``: so many folds; ``held-out``: residuals of each fold by what the others fit.
    """

    kind: Literal["whole", "null", "without", "first", "held-out"]
    number: int = 0

    @property
    def label(self) -> str:
        """What task runs and messages add to the name of a pair."""
        return {
            "whole": "",
            "null": f" · permutation {self.number}",
            "without": f" · without fold {self.number}",
            "first": f" · first {self.number} folds",
            "held-out": " · held out",
        }[self.kind]


WHOLE = Resample("whole")


class LayerPair(NamedTuple):
    """A layer of one checkpoint and a layer of another: what has a profile, matches and measures."""

    layer_x: str
    layer_y: str
    compared: Comparison

    @property
    def sides(self) -> tuple[tuple[str, Checkpoint], tuple[str, Checkpoint]]:
        """The layer and the checkpoint of either side."""
        return (self.layer_x, self.compared.x), (self.layer_y, self.compared.y)


@dataclass(frozen=True)
class WantedNetwork:
    """A network that is compared: to be trained from `seed` by `recipe`, or taken over from `weights`.

    Attributes
    ----------
    shown
        What people call it.
    code
        Digest of the module that builds it, where that is somebody's own.
    """

    shown: str
    architecture: str
    code: str
    width: float
    source: DataSource
    dataset_digest: str
    seed: int | None
    recipe: Recipe | None
    mixed_precision: bool
    weights: str | None
    weights_digest: str | None


@dataclass(frozen=True)
class WantedLayer:
    """A layer that is compared.

    Attributes
    ----------
    neuron_dimension
        The dimension of its output that is the neurons, where the study says it.
    neurons, positions
        How many there are, as far as is known: only the sizes of jobs depend on it.
    """

    name: str
    neuron_dimension: Literal["last"] | int | None = None
    neurons: int = 64
    positions: int = 1


@dataclass(frozen=True)
class Wanted:
    """What is compared: which networks, in which layers, on which images, at which ε, by which measures.

    Attributes
    ----------
    source, held_out_digest
        The images whose activations are compared.
    segments
        Ranges of them, (start, stop), that are stored as one.
    device, dtype, positions, positions_seed, centres, folds, permutations, level
        As in the study.
    permutation_seed
        The study's ``null.seed``.
    """

    networks: Mapping[str, WantedNetwork]
    comparisons: tuple[Comparison, ...]
    layers: tuple[WantedLayer, ...]
    source: DataSource
    held_out_digest: str
    segments: tuple[tuple[int, int], ...]
    positions: int | Literal["all", "mean"]
    positions_seed: int
    dtype: StoredDtype
    device: str
    epsilons: tuple[float, ...]
    measures: tuple[str, ...]
    centres: tuple[Centre, ...] = CENTRES
    folds: int = 0
    permutations: int = 0
    permutation_seed: int = 0
    level: float = 0.05

    @cached_property
    def resamples(self) -> tuple[Resample, ...]:
        """Of which images there is a profile of each pair."""
        folds = self.folds
        firsts = [1 << exponent for exponent in range((folds - 1).bit_length())] if folds else []
        return (
            WHOLE,
            *(Resample("null", number) for number in range(self.permutations)),
            *(Resample("without", fold) for fold in range(folds)),
            *(Resample("first", count) for count in firsts),
            *([Resample("held-out")] if folds else []),
        )

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint that is compared."""
        return tuple(dict.fromkeys(chain.from_iterable(self.comparisons)))

    @cached_property
    def pairs(self) -> tuple[LayerPair, ...]:
        """Every layer of every comparison."""
        return tuple(
            LayerPair(one.name, one.name, compared) for compared in self.comparisons for one in self.layers
        )

    def shown(self, pair: LayerPair) -> str:
        """Return what task runs and messages call a pair."""
        layers = pair.layer_x if pair.layer_x == pair.layer_y else f"{pair.layer_x} ~ {pair.layer_y}"
        (x, x_moment), (y, y_moment) = pair.compared
        shown_x, shown_y = self.networks[x].shown, self.networks[y].shown
        if x_moment == y_moment:
            return f"{layers} · {shown_x} ~ {shown_y} · {x_moment}"
        return f"{layers} · {shown_x} {x_moment} ~ {shown_y} {y_moment}"

    def neurons_of(self, pair: LayerPair) -> int:
        """Return how many neurons a pair has, of both sides, as far as is known."""
        return self._neurons[pair.layer_x] + self._neurons[pair.layer_y]

    @cached_property
    def _neurons(self) -> dict[str, int]:
        return {layer.name: layer.neurons for layer in self.layers}


Complete = Mapping[str, Mapping[Any, Any]]
"""For each stage that is done, by name, its finished units by what they stand for."""
