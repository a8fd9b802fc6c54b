"""Stage *matches*: maximum match and simple matches of a pair of layers at one tolerance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, NamedTuple, cast

from typing_extensions import TypedDict

from spanmatch import GramMatrix, MatchProfile, cover_freedom, essential, offset_neurons, simple_matches
from spanmatch.matching.centring import Centre, centred_by
from spanmatch.matching.match import Neuron
from storage.packs import Packs, array_document, content_digest, document_array
from storage.root import Artefact, Root
from tasks.foreseeing import kept_bytes, statistic_bytes
from tasks.permuting import PermutedName
from tasks.profiles import ProfileName, no_warnings, pair_memory, read_profile
from tasks.stage import Cost, Form, Named, Paces, Result, Stage
from tasks.statistic import Reading, Statistic
from tasks.unit import Unit
from tasks.wanted import WHOLE, Complete, LayerPair, Resample, Wanted

# Random orders in which covers are searched beside the one that the data give, where a study has a null.
_ORDERS = 2
# The permutation whose simple matches stand for what chance gives; its profile is there already.
_CHANCE = Resample("null", 0)

# Of the matches of a pair at one ε, as text.
_DOCUMENT_BYTES = 450
_NEURON_BYTES = 8


class MatchRecord(TypedDict):
    """Stored matches."""

    digest: str


class SimpleMatchDocument(TypedDict):
    """One simple match, and a neuron for which it is minimal."""

    neuron: tuple[str, int]
    x: list[int]
    y: list[int]


class CoverDocument(TypedDict):
    """How covers found in other orders differ, and how large simple matches are with images permuted."""

    orders: int
    fewest: int
    most: int
    recurring: float | None
    sizes: list[list[int]]
    permuted: list[int]


class MatchDocument(TypedDict):
    """What is stored: the maximum match with its similarity and certificate, and the simple matches."""

    epsilon: float
    similarity: float
    low: float
    high: float
    uncertain: int
    x: list[int]
    y: list[int]
    neurons_x: int
    neurons_y: int
    dead_x: int
    dead_y: int
    offset_x: int
    offset_y: int
    samples: int
    simple_matches: list[SimpleMatchDocument]
    cover: CoverDocument | None
    essential: list[tuple[int, int]]


class Chance(NamedTuple):
    """The same pair with the images of one side permuted: its cross part, and its profile."""

    permuted: Artefact
    profile: Artefact

    def identity(self) -> list[str]:
        """Return the content of both."""
        return [self.permuted.digest, self.profile.digest]


@dataclass(frozen=True)
class MatchUnit(Unit):
    """The matches of a pair of layers, raw or less their means, at one ε.

    Attributes
    ----------
    chance
        With what to compare them; None where the study has no null, and then there are no further covers.
    """

    stage: ClassVar[str] = "matches"
    version: ClassVar[int] = 6

    statistic: Statistic
    profile: Artefact
    centre: Centre
    epsilon: float
    neurons: int
    chance: Chance | None = None

    @property
    def seconds(self) -> float:
        """By what simple matches take where layers are entangled; seldom so long."""
        return 1e-3 + 8e-7 * self.neurons**2 + 1.5e-9 * self.neurons**3

    def identity(self) -> dict[str, Any]:
        """Return the content of the statistic and of the profile, the centre, and ε."""
        return {
            **self.statistic.identity(),
            "profile": self.profile.digest,
            "centre": self.centre,
            "epsilon": self.epsilon,
            **({"orders": _ORDERS, "chance": self.chance.identity()} if self.chance else {}),
        }


class MatchName(NamedTuple):
    """What matches stand for."""

    pair: LayerPair
    centre: Centre
    epsilon: float


def plan(wanted: Wanted, done: Complete) -> dict[MatchName, MatchUnit]:
    """Plan the matches of each profile of all images at each ε, those of one pair after each other."""
    units: dict[MatchName, MatchUnit] = {}
    for pair, centre in product(wanted.looked_into, wanted.centres):
        if (profile := done["profiles"].get(ProfileName(pair, centre, WHOLE))) is None:
            continue
        less = " · less means" if centre == "mean" else ""
        chance = _chance(done, pair, centre) if wanted.permutations else None
        if wanted.permutations and chance is None:
            continue
        for epsilon in wanted.epsilons:
            units[MatchName(pair, centre, epsilon)] = MatchUnit(
                label=f"{wanted.shown(pair)}{less} · ε {epsilon:g}",
                statistic=profile.unit.statistic,
                profile=profile.artefact,
                centre=centre,
                epsilon=epsilon,
                neurons=profile.unit.neurons,
                chance=chance,
            )
    return units


def _chance(done: Complete, pair: LayerPair, centre: Centre) -> Chance | None:
    permuted = done["permuted"].get(PermutedName(pair, _CHANCE.number))
    profile = done["profiles"].get(ProfileName(pair, centre, _CHANCE))
    return Chance(permuted.artefact, profile.artefact) if permuted and profile else None


def compute(root: Root, units: Sequence[MatchUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Find the maximum match and its simple matches."""
    (unit,) = units
    profile = read_profile(reading.packs, unit.profile)
    maximum = profile.maximum_match(unit.epsilon)
    gram = centred_by(reading.whole(unit.statistic).gram, unit.centre)
    with no_warnings():
        found = simple_matches(gram, epsilon=unit.epsilon, profile=profile)
        cover = _cover(gram, unit, profile, _by_chance(unit, unit.chance, reading)) if unit.chance else None
        graph = essential(gram, epsilon=unit.epsilon, profile=profile)
    low, high = profile.similarity_interval(unit.epsilon)
    offset = offset_neurons(gram, epsilon=unit.epsilon)
    document: MatchDocument = {
        "epsilon": unit.epsilon,
        "similarity": profile.similarity(unit.epsilon),
        "low": low,
        "high": high,
        "uncertain": profile.uncertain(unit.epsilon).size,
        "x": maximum.x.tolist(),
        "y": maximum.y.tolist(),
        "neurons_x": gram.n_x,
        "neurons_y": gram.n_y,
        "dead_x": len(gram.dead_x),
        "dead_y": len(gram.dead_y),
        "offset_x": offset.x.size,
        "offset_y": offset.y.size,
        "samples": gram.n_samples,
        "simple_matches": [
            {"neuron": simple.neuron, "x": simple.match.x.tolist(), "y": simple.match.y.tolist()}
            for simple in found
        ],
        "cover": cover,
        "essential": [(_number(gram, u), _number(gram, v)) for u, v in graph.skeleton],
    }
    content = {"document": document_array(document)}
    return [Result(unit, {"digest": content_digest(content)}, content)]


def _by_chance(unit: MatchUnit, chance: Chance, reading: Reading) -> list[int]:
    """Return the sizes of the simple matches with images permuted; where nothing matches there are none."""
    if not read_profile(reading.packs, chance.profile).similarity(unit.epsilon):
        return []
    permuted = reading.resampled(unit.statistic, _CHANCE, chance.permuted).gram
    found = simple_matches(centred_by(permuted, unit.centre), epsilon=unit.epsilon)
    return sorted(simple.match.x.size + simple.match.y.size for simple in found)


def _cover(gram: GramMatrix, unit: MatchUnit, profile: MatchProfile, permuted: list[int]) -> CoverDocument:
    freedom = cover_freedom(gram, epsilon=unit.epsilon, profile=profile, orders=_ORDERS)
    return {
        "orders": freedom.orders,
        "fewest": freedom.counts[0],
        "most": freedom.counts[1],
        "recurring": freedom.recurring_share,
        "sizes": [list(sizes) for sizes in freedom.sizes],
        "permuted": permuted,
    }


def _number(gram: GramMatrix, neuron: Neuron) -> int:
    side, index = neuron
    return index if side == "x" else gram.n_x + index


def read_matches(packs: Packs, artefact: Artefact) -> MatchDocument:
    """Read stored matches.

    Raises
    ------
    DamagedArtefactError
        If they are not what was written.
    """
    return cast("MatchDocument", array_document(packs.read(artefact)["document"]))


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with matches that are kept as text; the statistic and its Gram matrix are held."""
    pair = group[0][0].pair
    x, y = wanted.sizes_of(pair)
    read = statistic_bytes(x, y, wanted.folds)
    written = kept_bytes(_DOCUMENT_BYTES + _NEURON_BYTES * (x + y), 1)
    return Cost(written, read, pair_memory(wanted, pair))


STAGE = Stage(
    name="matches",
    verb="match",
    bar=lambda _: "find matches (layers of pairs at each ε)",
    record=MatchRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    cost=cost,
    earlier=(("matches/{}.json", ""),),
)
