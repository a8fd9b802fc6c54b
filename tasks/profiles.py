"""Stage *profiles*: every neuron's critical epsilon for a pair of layers."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import TypedDict

from spanmatch import MatchProfile, OffsetWarning, TooFewSamplesWarning, match_profile
from storage.packs import Packs, content_digest
from storage.root import Artefact, Root
from tasks.reduction import CrossName, OwnName
from tasks.stage import GROUP, Form, Result, Stage
from tasks.statistic import Reading, Statistic
from tasks.unit import Unit
from tasks.wanted import Complete, LayerPair, Wanted

_ARRAYS = ("x", "y", "x_bounds", "y_bounds")


class ProfileRecord(TypedDict):
    """A stored match profile."""

    digest: str


@dataclass(frozen=True)
class ProfileUnit(Unit):
    """The match profile of a pair of layers."""

    stage: ClassVar[str] = "profiles"
    version: ClassVar[int] = 4

    statistic: Statistic
    neurons: int

    @property
    def seconds(self) -> float:
        """By the removals and by the arithmetic."""
        return 5e-3 + 1e-4 * self.neurons + 1e-9 * self.neurons**3

    def identity(self) -> dict[str, Any]:
        """Return the content of the statistic."""
        return self.statistic.identity()


def plan(wanted: Wanted, done: Complete) -> dict[LayerPair, ProfileUnit]:
    """Plan one match profile for each pair whose statistic is complete."""
    return {
        pair: ProfileUnit(wanted.shown(pair), statistic, wanted.neurons_of(pair))
        for pair in wanted.pairs
        if (statistic := statistic_of(wanted, done, pair)) is not None
    }


def statistic_of(wanted: Wanted, done: Complete, pair: LayerPair) -> Statistic | None:
    """Return the parts of a pair's statistic, or None where one is not there yet."""
    parts = done["comoments"]
    starts = [start for start, _ in wanted.segments]
    x, y = ([OwnName(*side, start) for start in starts] for side in pair.sides)
    xy = [CrossName(pair, start) for start in starts]
    if any(name not in parts for name in (*x, *y, *xy)):
        return None
    return Statistic(*(tuple(parts[name].artefact for name in names) for names in (x, y, xy)))


def compute(root: Root, units: Sequence[ProfileUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Find the critical epsilons and their certificate."""
    (unit,) = units
    with warnings.catch_warnings():
        for category in (TooFewSamplesWarning, OffsetWarning):
            warnings.simplefilter("ignore", category)  # the run says so once for each layer
        profile = match_profile(reading.gram(unit.statistic))
    content = {name: getattr(profile, name) for name in _ARRAYS}
    return [Result(unit, {"digest": content_digest(content)}, content)]


def read_profile(packs: Packs, artefact: Artefact) -> MatchProfile:
    """Read a stored match profile.

    Raises
    ------
    DamagedArtefactError
        If it is not what was written.
    """
    return MatchProfile(**packs.read(artefact))


STAGE = Stage(
    name="profiles",
    verb="profile",
    bar=lambda _: "find match profiles (layers of pairs)",
    record=ProfileRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    count=lambda wanted: len(wanted.pairs),
    earlier=(("profiles/{}.zarr", GROUP),),
)
