"""Stage *profiles*: every neuron's critical epsilon for a pair of layers.

Of all images, raw and centred; and of permuted images, of folds and held out, for nulls and errors.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch import MatchProfile, OffsetWarning, TooFewSamplesWarning, match_profile
from spanmatch.matching.centring import Centre, centred_by
from spanmatch.matching.quick_profile import quick_profile
from spanmatch.statistics.holding_out import held_out_profile
from storage.packs import KEPT_BYTES, Content, Packs, content_digest
from storage.root import Artefact, Root
from tasks.foreseeing import kept_bytes, statistic_bytes
from tasks.permuting import PermutedName
from tasks.reduction import CrossName, OwnName
from tasks.stage import GROUP, Cost, Form, Named, Paces, Result, Stage
from tasks.statistic import Reading, Samples, Statistic
from tasks.unit import Unit
from tasks.wanted import WHOLE, Complete, LayerPair, Resample, Wanted

_SIDES = ("x", "y")
_BOUNDS = ("x_bounds", "y_bounds")


class ProfileRecord(TypedDict):
    """A stored match profile."""

    digest: str


class ProfileName(NamedTuple):
    """What a profile stands for."""

    pair: LayerPair
    centre: Centre
    resample: Resample


@dataclass(frozen=True)
class ProfileUnit(Unit):
    """The match profile of a pair of layers.

    Attributes
    ----------
    permuted
        The cross part of permuted images, for a profile of those.
    images_label
        What people call the pair and its images: raw and centred, they are computed in one go.
    """

    stage: ClassVar[str] = "profiles"
    version: ClassVar[int] = 6

    statistic: Statistic
    centre: Centre
    resample: Resample
    permuted: Artefact | None
    neurons: int
    images_label: str

    @property
    def seconds(self) -> float:
        """By the removals and by the arithmetic; of held-out residuals, of each fold."""
        one = 2e-3 + 8e-5 * self.neurons + 1e-9 * self.neurons**3
        return one * self.statistic.folds if self.resample.kind == "held-out" else one

    @property
    def group(self) -> str:
        """The pair and its images: their statistic is put together once."""
        return self.images_label

    @property
    def group_label(self) -> str:
        """The same."""
        return self.images_label

    def identity(self) -> dict[str, Any]:
        """Return the content of the statistic, the centre, and of which images it is."""
        permuted = {} if self.permuted is None else {"permuted": self.permuted.digest}
        # of permuted images, the number only says where a permutation comes from
        number = [] if self.permuted is not None else [self.resample.number]
        resample = [self.resample.kind, *number]
        return {**self.statistic.identity(), "centre": self.centre, "resample": resample, **permuted}


def plan(wanted: Wanted, done: Complete) -> dict[ProfileName, ProfileUnit]:
    """Plan the match profiles of each pair whose statistic is complete."""
    units: dict[ProfileName, ProfileUnit] = {}
    for pair in wanted.pairs:
        if (statistic := statistic_of(wanted, done, pair)) is None:
            continue
        shown = wanted.shown(pair)
        for resample, centre in product(wanted.resamples_of(pair), wanted.centres):
            permuted = None
            if resample.kind == "null":
                found = done["permuted"].get(PermutedName(pair, resample.number))
                if found is None:
                    continue
                permuted = found.artefact
            less = " · less means" if centre == "mean" else ""
            units[ProfileName(pair, centre, resample)] = ProfileUnit(
                f"{shown}{less}{resample.label}",
                statistic=statistic,
                centre=centre,
                resample=resample,
                permuted=permuted,
                neurons=wanted.neurons_of(pair),
                images_label=f"{shown}{resample.label}",
            )
    return units


def statistic_of(wanted: Wanted, done: Complete, pair: LayerPair) -> Statistic | None:
    """Return the parts of a pair's statistic, or None where one is not there yet."""
    parts = done["comoments"]
    starts = [start for start, _ in wanted.segments]
    x, y = ([OwnName(*side, start) for start in starts] for side in pair.sides)
    xy = [CrossName(pair, start) for start in starts]
    if any(name not in parts for name in (*x, *y, *xy)):
        return None
    own_x, own_y, cross = (tuple(parts[name].artefact for name in names) for names in (x, y, xy))
    return Statistic(own_x, own_y, cross, wanted.folds)


def compute(root: Root, units: Sequence[ProfileUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Find the critical epsilons, and of all images their certificate."""
    one = units[0]
    samples = reading.resampled(one.statistic, one.resample, one.permuted)
    with no_warnings():
        return [_result(unit, _content(unit, samples)) for unit in units]


def _content(unit: ProfileUnit, samples: Samples) -> Content:
    if unit.resample.kind == "held-out":
        folds = [Samples((part,)).gram for part in samples.parts]
        held_out = held_out_profile(folds, centre=unit.centre)
        return {"x": held_out.x, "y": held_out.y}
    gram = centred_by(samples.gram, unit.centre)
    if unit.resample == WHOLE:
        profile = match_profile(gram)
        return {name: getattr(profile, name) for name in (*_SIDES, *_BOUNDS)}
    return dict(zip(_SIDES, quick_profile(gram), strict=True))


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with critical epsilons that are kept; the statistic and its Gram matrix are held."""
    pair, written = group[0][0].pair, 0
    x, y = wanted.sizes_of(pair)
    for name, _ in group:
        whole = name.resample == WHOLE
        written += kept_bytes(8 * (x + y) * (3 if whole else 1), 4 if whole else 2)
    read = statistic_bytes(x, y, wanted.folds)
    return Cost(written, read, pair_memory(wanted, pair))


def pair_memory(wanted: Wanted, pair: LayerPair) -> int:
    """Return what is in memory to compute from a pair's statistic: it, packs, and its Gram matrix."""
    x, y = wanted.sizes_of(pair)
    packs = min(wanted.kept_sums, KEPT_BYTES)
    return packs + statistic_bytes(x, y, wanted.folds) + gram_memory(x + y)


def gram_memory(neurons: int) -> int:
    """Return the bytes of a Gram matrix and what is computed from it: some four matrices of its size."""
    return 5 * 8 * neurons**2


def _result(unit: ProfileUnit, content: Content) -> Result:
    return Result(unit, {"digest": content_digest(content)}, content)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Leave unsaid what the run says once for each layer."""
    with warnings.catch_warnings():
        for category in (TooFewSamplesWarning, OffsetWarning):
            warnings.simplefilter("ignore", category)
        yield


def read_profile(packs: Packs, artefact: Artefact) -> MatchProfile:
    """Read a stored match profile; one of which no certificate is kept has bounds that say nothing.

    Raises
    ------
    DamagedArtefactError
        If it is not what was written.
    """
    content: Mapping[str, NDArray[np.float64]] = packs.read(artefact)
    unknown = {f"{side}_bounds": np.tile([0.0, np.inf], (len(content[side]), 1)) for side in _SIDES}
    return MatchProfile(**{**unknown, **content})


STAGE = Stage(
    name="profiles",
    verb="profile",
    bar=lambda _: "find match profiles (layers of pairs)",
    record=ProfileRecord,
    form=Form.PACK,
    plan=plan,
    compute=compute,
    cost=cost,
    earlier=(("profiles/{}.zarr", GROUP),),
)
