"""Stage *measures*: every measure of a pair of layers that a study asks for, as one number each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from typing_extensions import TypedDict

from spanmatch.errors import InputValueError
from spanmatch.measures import MEASURES, PASSES, Evidence, Need, evaluate, measure_named
from storage.root import Artefact, Root
from tasks.profiles import read_profile
from tasks.stage import Form, Result, Stage
from tasks.statistic import Reading, Statistic
from tasks.unit import Unit
from tasks.wanted import Complete, LayerPair, Wanted


class MeasureRecord(TypedDict):
    """A measure's value; None where it means nothing."""

    value: float | None
    samples: int


class MeasureName(NamedTuple):
    """What a value stands for."""

    pair: LayerPair
    measure: str
    parameter: float | None


GIVEN: frozenset[Need] = frozenset({"comoments", "profile"})
"""What units have at hand; a measure of anything else needs a stage of its own."""


@dataclass(frozen=True)
class MeasureUnit(Unit):
    """One measure of a pair of layers, at one value of its parameter if it has one.

    Attributes
    ----------
    profile
        Where the measure needs it.
    """

    stage: ClassVar[str] = "measures"
    version: ClassVar[int] = 1

    measure: str
    parameter: float | None
    statistic: Statistic
    profile: Artefact | None
    neurons: int

    @property
    def seconds(self) -> float:
        """Some products of matrices."""
        return 1e-3 + 1e-10 * self.neurons**3

    def identity(self) -> dict[str, Any]:
        """Return the measure with its version, and the content of what it takes."""
        return {
            "measure": [self.measure, measure_named(self.measure).version],
            "parameter": self.parameter,
            "profile": None if self.profile is None else self.profile.digest,
            **self.statistic.identity(),
        }


def plan(wanted: Wanted, done: Complete) -> dict[MeasureName, MeasureUnit]:
    """Plan each measure of each pair, those of one pair after each other."""
    measures = [measure_named(name) for name in wanted.measures]
    return {
        MeasureName(pair, measure.name, parameter): MeasureUnit(
            label=f"{measure.label} of {wanted.shown(pair)}"
            + ("" if parameter is None else f" · ε {parameter:g}"),
            measure=measure.name,
            parameter=parameter,
            statistic=profile.unit.statistic,
            profile=profile.artefact if "profile" in measure.needs else None,
            neurons=profile.unit.neurons,
        )
        for pair, profile in done["profiles"].items()
        for measure in measures
        for parameter in (wanted.epsilons if measure.parameter == "epsilon" else (None,))
    }


def count(wanted: Wanted) -> int:
    """Return how many values there are."""
    measures = [measure_named(name) for name in wanted.measures]
    each = sum(len(wanted.epsilons) if measure.parameter == "epsilon" else 1 for measure in measures)
    return each * len(wanted.pairs)


def require_given(names: Sequence[str]) -> None:
    """See that measures need no more than stages give.

    Raises
    ------
    ValueError
        If one does.
    """
    for name in names:
        if lacking := sorted(measure_named(name).needs - GIVEN):
            others = [other for other, measure in MEASURES.items() if measure.needs <= GIVEN]
            raise InputValueError(
                f"`measures` must hold what the pipeline's stages give, got {name!r}, which needs "
                f"{', and '.join(PASSES[need] for need in lacking)}; leave it out, and choose of: "
                f"{', '.join(others)}"
            )


def compute(root: Root, units: Sequence[MeasureUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Evaluate the measure."""
    (unit,) = units
    gram = reading.gram(unit.statistic)
    profile = None if unit.profile is None else read_profile(reading.packs, unit.profile)
    value = evaluate(measure_named(unit.measure), Evidence(gram, profile), unit.parameter)
    return [Result(unit, {"value": value, "samples": gram.n_samples})]


STAGE = Stage(
    name="measures",
    verb="measure",
    bar=lambda _: "evaluate measures (values)",
    record=MeasureRecord,
    form=Form.RECORD,
    plan=plan,
    compute=compute,
    count=count,
)
