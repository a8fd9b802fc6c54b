"""Stage *measures*: every measure of a pair of layers that a study asks for.

Of all images, under each permutation, without each fold, over the first folds, and held out.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from typing_extensions import TypedDict

from spanmatch.matching.centring import Centre
from spanmatch.matching.profile import MatchProfile
from spanmatch.measures import (
    Evidence,
    Measure,
    Need,
    evaluate,
    evaluate_held_out,
    measure_named,
    undefined_reason,
)
from storage.root import Artefact, Root
from tasks.foreseeing import moments_bytes, numbers_bytes, statistic_bytes
from tasks.permuting import PermutedName
from tasks.profiles import ProfileName, pair_memory, read_profile, statistic_of
from tasks.stage import Cost, Form, Named, Paces, Result, Stage
from tasks.statistic import Reading, Samples, Statistic
from tasks.unit import Unit
from tasks.wanted import WHOLE, Complete, LayerPair, Resample, Wanted

_PROFILE: frozenset[Need] = frozenset({"profile"})


class MeasureRecord(TypedDict):
    """A measure's values, each None where it means nothing, and why it does for all images.

    Lists are in the order of permutations, folds, and growing numbers of first folds.
    """

    value: float | None
    reason: str
    samples: int
    null: list[float | None]
    without: list[float | None]
    first: list[float | None]
    held_out: float | None


class MeasureName(NamedTuple):
    """What values stand for."""

    pair: LayerPair
    centre: Centre
    measure: str
    parameter: float | None


@dataclass(frozen=True)
class MeasureUnit(Unit):
    """One measure of a pair of layers, at one value of its parameter if it has one.

    Attributes
    ----------
    profiles
        Of each resample, where the measure needs them.
    permuted
        Cross parts of permuted images, in their order, where the measure needs co-moments.
    pair_label
        What people call the pair: its measures are evaluated in one go.
    """

    stage: ClassVar[str] = "measures"
    version: ClassVar[int] = 3

    measure: str
    parameter: float | None
    centre: Centre
    statistic: Statistic
    resamples: tuple[Resample, ...]
    profiles: Mapping[Resample, Artefact]
    permuted: tuple[Artefact, ...]
    neurons: int
    pair_label: str

    @property
    def seconds(self) -> float:
        """Some products of matrices for each resample, or none."""
        return 1e-3 if self.profiles else (5e-4 + 4e-10 * self.neurons**3) * len(self.resamples)

    @property
    def group(self) -> str:
        """The pair: its statistic is read once."""
        return self.pair_label

    @property
    def group_label(self) -> str:
        """What people call the pair."""
        return self.pair_label

    def identity(self) -> dict[str, Any]:
        """Return the measure with its version, and the content of what it takes."""
        return {
            "measure": [self.measure, measure_named(self.measure).version],
            "parameter": self.parameter,
            "centre": self.centre,
            "resamples": self.resamples,
            "profiles": [artefact.digest for artefact in self.profiles.values()],
            "permuted": [artefact.digest for artefact in self.permuted],
            **self.statistic.identity(),
        }


def plan(wanted: Wanted, done: Complete) -> dict[MeasureName, MeasureUnit]:
    """Plan each measure of each pair, those of one pair after each other."""
    units: dict[MeasureName, MeasureUnit] = {}
    measures = [measure_named(name) for name in wanted.measures]
    numbers = range(wanted.permutations)
    for pair in wanted.pairs:
        statistic = statistic_of(wanted, done, pair)
        names = [PermutedName(pair, number) for number in numbers]
        if statistic is None or any(name not in done["permuted"] for name in names):
            continue
        crosses = tuple(done["permuted"][name].artefact for name in names)
        shown, resamples = wanted.shown(pair), wanted.resamples_of(pair)
        for name in _names(wanted, pair, measures):
            measure = measure_named(name.measure)
            profiles: dict[Resample, Artefact] = {}
            if measure.depends_on_centre:
                of_pair = {one: ProfileName(pair, name.centre, one) for one in resamples}
                if any(profile not in done["profiles"] for profile in of_pair.values()):
                    continue
                profiles = {one: done["profiles"][profile].artefact for one, profile in of_pair.items()}
            at = "" if name.parameter is None else f" · ε {name.parameter:g}"
            units[name] = MeasureUnit(
                label=f"{measure.label} of {shown}{at}",
                measure=measure.name,
                parameter=name.parameter,
                centre=name.centre,
                statistic=statistic,
                resamples=resamples,
                profiles=profiles,
                permuted=() if measure.needs == _PROFILE else crosses,
                neurons=wanted.neurons_of(pair),
                pair_label=shown,
            )
    return units


def _names(wanted: Wanted, pair: LayerPair, measures: Iterable[Measure]) -> Iterator[MeasureName]:
    for measure in measures:
        for centre in wanted.centres if measure.depends_on_centre else ("mean",):
            for parameter in wanted.epsilons if measure.parameter == "epsilon" else (None,):
                yield MeasureName(pair, centre, measure.name, parameter)


def compute(root: Root, units: Sequence[MeasureUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Evaluate the measures, all of them of each resample in turn: one resample is in memory."""
    reasons = dict.fromkeys((unit.key for unit in units), "")
    values: dict[str, dict[Resample, float | None]] = {unit.key: {} for unit in units}
    for resample in units[0].resamples:
        if resample.kind == "held-out":
            continue
        found = _OfResample(units, resample, reading)
        for unit in units:
            evidence, measure = found.evidence(unit), measure_named(unit.measure)
            value = evaluate(measure, evidence, unit.parameter)
            values[unit.key][resample] = value
            if resample == WHOLE and value is None:
                reasons[unit.key] = undefined_reason(measure, evidence, unit.parameter) or ""
    samples = reading.whole(units[0].statistic).gram.n_samples
    held_out = _held_out(units, reading)
    return [
        _result(unit, values[unit.key], reasons[unit.key], samples, held_out.get(unit.key)) for unit in units
    ]


def _result(
    unit: MeasureUnit,
    values: Mapping[Resample, float | None],
    reason: str,
    samples: int,
    held_out: float | None,
) -> Result:
    of_kind: dict[str, list[float | None]] = defaultdict(list)
    for resample, value in values.items():
        of_kind[resample.kind].append(value)
    record: MeasureRecord = {
        "value": values[WHOLE],
        "reason": reason,
        "samples": samples,
        "null": of_kind["null"],
        "without": of_kind["without"],
        "first": of_kind["first"],
        "held_out": held_out,
    }
    return Result(unit, dict(record))


class _OfResample:
    """The evidence that units of one pair have of one resample, put together once."""

    def __init__(self, units: Sequence[MeasureUnit], resample: Resample, reading: Reading) -> None:
        self._packs = reading.packs
        self._resample = resample
        self._moments = Evidence()
        self._profiles: dict[str, MatchProfile] = {}
        if further := [unit for unit in units if _needs(unit) != _PROFILE]:
            one = further[0]
            permuted = one.permuted[resample.number] if resample.kind == "null" else None
            self._moments = _evidence(units, reading.resampled(one.statistic, resample, permuted))

    def evidence(self, unit: MeasureUnit) -> Evidence:
        """Return what the unit's measure takes."""
        if not unit.profiles:
            return self._moments
        artefact = unit.profiles[self._resample]
        if artefact.key not in self._profiles:
            self._profiles[artefact.key] = read_profile(self._packs, artefact)
        return replace(self._moments, profile=self._profiles[artefact.key])


def _needs(unit: MeasureUnit) -> frozenset[Need]:
    return measure_named(unit.measure).needs


def _evidence(units: Iterable[MeasureUnit], samples: Samples) -> Evidence:
    needs_rows = any("row-norms" in _needs(unit) for unit in units)
    return Evidence(samples.gram_with_rows if needs_rows else samples.gram)


def _held_out(units: Sequence[MeasureUnit], reading: Reading) -> dict[str, float | None]:
    """Return the held-out values, where there are any: of held-out profiles, or the means over folds."""
    found: dict[str, float | None] = {}
    held_out = Resample("held-out")
    if held_out not in units[0].resamples:
        return found
    fitted: list[MeasureUnit] = []
    of_profiles = _OfResample(units, held_out, reading)
    for unit in units:
        measure = measure_named(unit.measure)
        if unit.profiles:
            found[unit.key] = evaluate(measure, of_profiles.evidence(unit), unit.parameter)
        elif measure.held_out is not None:
            fitted.append(unit)
    of_folds: dict[str, list[float | None]] = defaultdict(list)
    statistic = units[0].statistic
    for number, fold in enumerate(reading.whole(statistic).parts if fitted else ()):
        others = _evidence(units, reading.resampled(statistic, Resample("without", number)))
        this = _evidence(units, Samples((fold,)))
        for unit in fitted:
            measure = measure_named(unit.measure)
            of_folds[unit.key].append(evaluate_held_out(measure, others, this, unit.parameter))
    for key, values in of_folds.items():
        defined = [value for value in values if value is not None]
        found[key] = math.fsum(defined) / len(defined) if len(defined) == len(values) else None
    return found


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with values that are kept as text; a pair's statistic and one resample of it are held."""
    pair = group[0][0].pair
    x, y = wanted.sizes_of(pair)
    written = sum(numbers_bytes([len(unit.resamples)]) for _, unit in group)
    crosses = moments_bytes(x, y, 1) * wanted.permutations
    read = statistic_bytes(x, y, wanted.folds) + crosses
    return Cost(written, read, pair_memory(wanted, pair))


STAGE = Stage(
    name="measures",
    verb="measure",
    bar=lambda _: "evaluate measures (layers of pairs)",
    record=MeasureRecord,
    form=Form.RECORD,
    plan=plan,
    compute=compute,
    cost=cost,
)
