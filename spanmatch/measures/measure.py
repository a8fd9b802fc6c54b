"""A measure: a function of the evidence on two layers, and what evidence it needs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.profile import MatchProfile
from spanmatch.matching.row_moments import RowMoments

Need: TypeAlias = Literal["comoments", "profile", "row-norms"]

PASSES: Mapping[Need, str] = MappingProxyType(
    {
        "comoments": "a pass over the activations, for GramMatrix",
        "profile": "a search in the Gram matrix, match_profile(gram)",
        "row-norms": "sums over samples of |x|²|y|², row_moments(x, y)",
    }
)
"""What gives each need, in words."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about one layer of two networks.

    Attributes
    ----------
    gram : GramMatrix, optional
        Uncentred inner products, and column sums.
    profile : MatchProfile, optional
        Critical epsilons of the same layers.
    rows : tuple of RowMoments, optional
        Of x with itself, of y with itself and between both, over the samples of `gram`, about their means: as
        `row_moments` or `RowMoments.merged` gives them.
    """

    gram: GramMatrix | None = None
    profile: MatchProfile | None = None
    rows: tuple[RowMoments, RowMoments, RowMoments] | None = None

    @property
    def gives(self) -> frozenset[Need]:
        """Needs that this meets."""
        needs: set[Need] = set()
        if self.gram is not None:
            needs.add("comoments")
        if self.profile is not None:
            needs.add("profile")
        if self.rows is not None:
            needs.add("row-norms")
        return frozenset(needs)

    @cached_property
    def centred(self) -> GramMatrix:
        """Inner products of the activations less each neuron's mean; a constant neuron is dead in it."""
        assert self.gram is not None
        return self.gram.centred


@dataclass(frozen=True)
class Measure:
    """One way to say in a number how alike two layers are."""

    name: str
    """In studies and result files: ``maximum-match``."""
    version: int
    """From 1; counts up whenever results change."""
    needs: frozenset[Need]
    function: Callable[[Evidence, float | None], float]
    """Of the evidence and the parameter; NaN where it says nothing, as of a layer without variance."""
    label: str
    """On axes and in tables."""
    definition: str
    """One or two sentences for readers of a report, who know the terms of the paper."""
    reference: str
    """Where the definition is from: authors, year, arXiv number."""
    parameter: Literal["epsilon"] | None = None
    """Of what there is one value for each; None where there is one value."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """Least and greatest possible value; infinite where there is none."""
    symmetric: bool = True
    """Whether exchanging the two layers leaves the value as it is."""
    higher_is_closer: bool = True
    """Whether layers that have more in common have a higher value."""
    usual: bool = False
    """Whether a study has it that names no measures."""
    held_out: Callable[[Evidence, Evidence, float | None], float] | None = None
    """Fitted to the first evidence, of all folds but one, and evaluated on the second, of that fold; NaN
    where it says nothing. None where nothing is fitted."""

    @property
    def depends_on_centre(self) -> bool:
        """Whether it follows the profile, raw or centred; all others subtract means by themselves."""
        return "profile" in self.needs


def evaluate(measure: Measure, evidence: Evidence, parameter: float | None = None) -> float | None:
    """Return the value of a measure, or None where it is undefined.

    Parameters
    ----------
    measure : Measure
        Which one.
    evidence : Evidence
        What is known about the two layers.
    parameter : float, optional
        Epsilon, for a measure that has one.

    Raises
    ------
    TypeError
        When `parameter` is missing, or given to a measure that has none.
    ValueError
        When `evidence` lacks something that the measure needs; the message says what would give it.
    """
    if (parameter is None) != (measure.parameter is None):
        rule = f"be {measure.parameter}" if measure.parameter else "be left out"
        remedy = "pass one, such as 0.3" if measure.parameter else "it has one value"
        raise InputTypeError(
            f"`parameter` must {rule} for measure {measure.name!r}, got {parameter!r}; {remedy}"
        )
    if lacking := sorted(measure.needs - evidence.gives):
        raise InputValueError(
            f"`evidence` must give {' and '.join(lacking)} for measure {measure.name!r}, got "
            f"{', '.join(sorted(evidence.gives))}; it needs {', and '.join(map(PASSES.__getitem__, lacking))}"
        )
    value = measure.function(evidence, parameter)
    return None if math.isnan(value) else float(value)


def undefined_reason(measure: Measure, evidence: Evidence, parameter: float | None = None) -> str:  # noqa: ARG001
    """Say why a measure is undefined."""
    return "a layer does not vary"
