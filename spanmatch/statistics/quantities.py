"""What is computed of every resample: measures, each at every value of its parameter, from one profile."""

import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np

from spanmatch.errors import InputValueError
from spanmatch.frames import pandas_for
from spanmatch.matching.centring import Centre, centred_by
from spanmatch.matching.checks import check_epsilons
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.profile import MatchProfile, match_profile
from spanmatch.measures import MEASURES, Evidence, Measure, evaluate, listed, measure_named, undefined_reason

EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)
"""Those of the paper."""
MATCH = "maximum-match"


@dataclass(frozen=True)
class Quantity:
    """A measure, at a value of its parameter if it has one."""

    measure: Measure
    parameter: float | None = None

    @property
    def label(self) -> str:
        """In sentences: ``maximum match similarity at ε = 0.3``."""
        return self.measure.label + ("" if self.parameter is None else f" at ε = {self.parameter:g}")


@dataclass(frozen=True, eq=False)
class Observation:
    """The profile of a resample, and a value of each quantity: None where it is undefined, and why."""

    profile: MatchProfile
    values: tuple[float | None, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class MeasureRow:
    """What a row of results is of.

    Attributes
    ----------
    measure : str
        Its name in the registry.
    parameter : float or None
        Epsilon, of a measure that has one.
    centre : str
        ``raw`` or ``mean``.
    """

    measure: str
    parameter: float | None
    centre: str


Row = TypeVar("Row", bound=MeasureRow)


def quantities(measures: Sequence[str | Measure], epsilons: Collection[float]) -> tuple[Quantity, ...]:
    """Return the maximum match at each epsilon, then other measures, each at each if that is its parameter.

    Raises
    ------
    TypeError, ValueError
        When there is no measure of a name, or an epsilon is outside [0, 1).
    """
    bounds = check_epsilons(epsilons)
    chosen = [
        each if isinstance(each, Measure) else measure_named(each, "measures") for each in listed(measures)
    ]
    names = {measure.name: measure for measure in (MEASURES[MATCH], *chosen)}
    return tuple(
        Quantity(measure, parameter)
        for measure in names.values()
        for parameter in (bounds if measure.parameter else [None])
    )


def observe(gram: GramMatrix, centre: Centre, asked: Sequence[Quantity]) -> Observation:
    """Return the profile of a resample, raw or centred, and the values of all quantities."""
    profile = match_profile(centred_by(gram, centre))
    evidence = Evidence(gram, profile)
    values = values_of(evidence, asked)
    reasons = [
        "" if value is not None else undefined_reason(each.measure, evidence, each.parameter) or ""
        for each, value in zip(asked, values, strict=True)
    ]
    return Observation(profile, values, tuple(reasons))


def values_of(evidence: Evidence, asked: Sequence[Quantity]) -> tuple[float | None, ...]:
    """Return the values of all quantities; None where one is undefined."""
    return tuple(evaluate(each.measure, evidence, each.parameter) for each in asked)


def centre_of(quantity: Quantity, centre: Centre) -> Centre:
    """Return the centre of a quantity: that of the profile, or "mean" of what subtracts means by itself."""
    return centre if quantity.measure.depends_on_centre else "mean"


def curves_together(profiles: Sequence[MatchProfile]) -> tuple[FloatArray, FloatArray]:
    """Return all epsilons where a similarity steps, (n_steps,), and similarities, (profiles, n_steps)."""
    curves = [each.curve() for each in profiles]
    epsilons = np.unique(np.concatenate([steps for steps, _ in curves]))
    similarities = [
        np.concatenate(([0.0], heights))[np.searchsorted(steps, epsilons, side="right")]
        for steps, heights in curves
    ]
    return epsilons, np.stack(similarities)


def undefined_in(values: Sequence[float | None], what: str) -> str:
    """Say in how many resamples a value is undefined; nothing if in none."""
    missing = sum(value is None for value in values)
    return f"undefined in {missing} of {len(values)} {what}" if missing else ""


class Rows(Generic[Row]):
    """Results with a row for each quantity."""

    rows: tuple[Row, ...]

    def row(self, measure: str, parameter: float | None = None) -> Row:
        """Return the row of a measure, at an epsilon if it has one.

        Raises
        ------
        ValueError
            When it was not asked for.
        """
        for row in self.rows:
            same = row.parameter == parameter or (
                row.parameter is not None and parameter is not None and math.isclose(row.parameter, parameter)
            )
            if row.measure == measure and same:
                return row
        known = ", ".join(_named(row.measure, row.parameter) for row in self.rows)
        raise InputValueError(
            f"`measure` must be one that was asked for, at its `parameter`: {known}; got "
            f"{_named(measure, parameter)}; name it in `measures`, or its epsilon in `epsilons`, and compute "
            "again"
        )

    def to_frame(self) -> Any:  # noqa: ANN401 - a DataFrame, of a package that need not be there
        """Return the rows as a data frame of pandas.

        Raises
        ------
        MissingExtraError
            When pandas is not installed.
        """
        pandas = pandas_for("to_frame", "`rows`")
        return pandas.DataFrame([asdict(cast("Any", row)) for row in self.rows])


def _named(measure: str, parameter: float | None) -> str:
    return measure if parameter is None else f"{measure} {parameter:g}"


@contextmanager
def warned_once() -> Iterator[None]:
    """Let out one warning of each category, as if the caller of the function that uses this had made it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for category, message in {each.category: each.message for each in reversed(caught)}.items():
        warnings.warn(message, category, stacklevel=4)
