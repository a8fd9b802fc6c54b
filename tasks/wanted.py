"""What a study compares, with everything it refers to resolved; stages plan their units from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, NamedTuple

from spanmatch.comparing.pairs import Pairs, names_of_pairs
from spanmatch.matching.centring import CENTRES, Centre
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.precision import StoredDtype
from spanmatch.networks.recipe import Recipe
from spanmatch.reporting.names import paired_layers
from tasks.foreseeing import moments_bytes


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


class Side(NamedTuple):
    """A layer of a checkpoint."""

    layer: str
    checkpoint: Checkpoint


class LayerPair(NamedTuple):
    """A layer of one checkpoint and a layer of another: what has a profile, matches and measures."""

    layer_x: str
    layer_y: str
    compared: Comparison

    @property
    def sides(self) -> tuple[Side, Side]:
        """The layer and the checkpoint of either side."""
        return Side(self.layer_x, self.compared.x), Side(self.layer_y, self.compared.y)

    @property
    def layers(self) -> str:
        """What people call the layers: their name, or both where they are two."""
        return paired_layers(self.layer_x, self.layer_y)


@dataclass(frozen=True)
class WantedLayer:
    """A layer that is compared.

    Attributes
    ----------
    neuron_dimension
        The dimension of its output that is the neurons, where the study says it.
    neurons, positions
        How many there are, as far as is known: only the sizes of jobs depend on it.
    map
        Sizes of the dimensions that are positions, all of them, where they are known.
    """

    name: str
    neuron_dimension: Literal["last"] | int | None = None
    neurons: int = 64
    positions: int = 1
    map: tuple[int, ...] = ()


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
class Wanted:
    """What is compared: which networks, in which layers, on which images, at which ε, by which measures.

    Attributes
    ----------
    layers
        Of each network by its name, in the order of its forward pass.
    pairing
        Which layers of two networks are paired: every one with every other, those of one name, or pairs of
        names or patterns.
    source, held_out_digest
        The images whose activations are compared.
    segments
        Ranges of them, (start, stop), that are stored as one.
    device, dtype, positions, positions_seed, centres, folds, permutations, level
        As in the study.
    permutation_seed
        The study's ``null.seed``.
    streams
        Whether networks pass for sums, and no activation is stored.
    exemplars
        How many strongest samples are found of each neuron; 0 for none.
    items
        What bars and the names of task runs call the samples.
    """

    networks: Mapping[str, WantedNetwork]
    comparisons: tuple[Comparison, ...]
    layers: Mapping[str, tuple[WantedLayer, ...]]
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
    pairing: Pairs = "same"
    streams: bool = False
    exemplars: int = 0
    items: str = "images"

    @cached_property
    def resamples(self) -> tuple[Resample, ...]:
        """Of which images there is a profile of a pair that is looked into."""
        folds = self.folds
        firsts = [1 << exponent for exponent in range((folds - 1).bit_length())] if folds else []
        return (
            *self._tested,
            *(Resample("without", fold) for fold in range(folds)),
            *(Resample("first", count) for count in firsts),
            *([Resample("held-out")] if folds else []),
        )

    @cached_property
    def _tested(self) -> tuple[Resample, ...]:
        return (WHOLE, *(Resample("null", number) for number in range(self.permutations)))

    def resamples_of(self, pair: LayerPair) -> tuple[Resample, ...]:
        """Return of which images there is a profile of a pair: of one on a grid, of all and permuted ones."""
        return self.resamples if self.is_looked_into(pair) else self._tested

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint that is compared."""
        return tuple(dict.fromkeys(chain.from_iterable(self.comparisons)))

    @cached_property
    def pairs(self) -> tuple[LayerPair, ...]:
        """Two layers each, of every comparison."""
        found = []
        for compared in self.comparisons:
            x, y = (one.network for one in compared)
            names = names_of_pairs(self._layers[x], self._layers[y], self.pairing, (x, y))
            found += [LayerPair(*both, compared) for both in names]
        return tuple(found)

    @cached_property
    def looked_into(self) -> tuple[LayerPair, ...]:
        """Pairs that have matches, errors and held-out values, too.

        All, but of a grid only those of one name that every network has: a grid is of many pairs.
        """
        return tuple(pair for pair in self.pairs if self.is_looked_into(pair))

    def is_looked_into(self, pair: LayerPair) -> bool:
        """Tell whether a pair has matches, errors and held-out values, too."""
        return self.pairing != "grid" or (pair.layer_x == pair.layer_y and pair.layer_x in self._common)

    @cached_property
    def sides(self) -> Mapping[Checkpoint, tuple[WantedLayer, ...]]:
        """The layers of each checkpoint that are in pairs, in the order of its forward pass."""
        paired = set(chain.from_iterable(pair.sides for pair in self.pairs))
        return {
            one: tuple(
                layer for name, layer in self._layers[one.network].items() if Side(name, one) in paired
            )
            for one in self.checkpoints
        }

    def shown(self, pair: LayerPair) -> str:
        """Return what task runs and messages call a pair."""
        layers = pair.layers
        (x, x_moment), (y, y_moment) = pair.compared
        shown_x, shown_y = self.networks[x].shown, self.networks[y].shown
        if x_moment == y_moment:
            return f"{layers} · {shown_x} ~ {shown_y} · {x_moment}"
        return f"{layers} · {shown_x} {x_moment} ~ {shown_y} {y_moment}"

    def layer_of(self, side: Side) -> WantedLayer:
        """Return a layer of a checkpoint."""
        return self._layers[side.checkpoint.network][side.layer]

    def sizes_of(self, pair: LayerPair) -> tuple[int, int]:
        """Return how many neurons either side of a pair has, as far as is known."""
        x, y = (self.layer_of(side).neurons for side in pair.sides)
        return x, y

    def neurons_of(self, pair: LayerPair) -> int:
        """Return how many neurons a pair has, of both sides, as far as is known."""
        return sum(self.sizes_of(pair))

    @cached_property
    def kept_sums(self) -> int:
        """Bytes of all co-moments that are kept, as far as sizes are known."""
        own = [(layer.neurons, layer.neurons) for layers in self.sides.values() for layer in layers]
        cross = [self.sizes_of(pair) for pair in self.pairs]
        by_segment = sum(moments_bytes(*sizes, self.folds) for sizes in (*own, *cross)) * len(self.segments)
        return by_segment + self.permutations * sum(moments_bytes(*sizes, 1) for sizes in cross)

    @cached_property
    def _layers(self) -> dict[str, dict[str, WantedLayer]]:
        return {name: {one.name: one for one in layers} for name, layers in self.layers.items()}

    @cached_property
    def _common(self) -> frozenset[str]:
        """Names of layers that all networks have that are compared."""
        return frozenset.intersection(*(frozenset(self._layers[one.network]) for one in self.checkpoints))


Complete = Mapping[str, Mapping[Any, Any]]
"""For each stage that is done, by name, its finished units by what they stand for."""
