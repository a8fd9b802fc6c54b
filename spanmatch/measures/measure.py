"""A measure: a function of the evidence on two layers, and what evidence it needs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeAlias

from spanmatch.errors import InputTypeError, InputValueError, UndefinedMeasureError
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.profile import MatchProfile
from spanmatch.matching.row_moments import RowMoments
from spanmatch.measures.assignment import Partners, partners
from spanmatch.measures.covariances import Covariances, covariances
from spanmatch.measures.spans import Canonical, Span, canonical, span

Need: TypeAlias = Literal["comoments", "profile", "row-norms", "minibatches"]
"""What a measure may need of two layers."""

PASSES: Mapping[Need, str] = MappingProxyType(
    {
        "comoments": "a pass over the activations, for GramMatrix",
        "profile": "a search in the Gram matrix, match_profile(gram)",
        "row-norms": "sums over samples of |x|²|y|², GramMatrix.from_activations(x, y, rows=True)",
        "minibatches": "estimates of HSIC in each batch, compare(…, minibatch_cka=True)",
    }
)
"""What gives each need, in words."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known about one layer of two networks; what measures share is computed once.

    Attributes
    ----------
    gram : GramMatrix, optional
        Uncentred inner products, and column sums.
    profile : MatchProfile, optional
        Critical epsilons of the same layers.
    of_minibatches : float, optional
        Minibatch CKA of whole maps, which follows from nothing else; NaN where it is undefined.
    """

    gram: GramMatrix | None = None
    profile: MatchProfile | None = None
    of_minibatches: float | None = None

    @property
    def gives(self) -> frozenset[Need]:
        """Needs that this meets."""
        held: dict[Need, object] = {
            "comoments": self.gram,
            "profile": self.profile,
            "row-norms": self.rows,
            "minibatches": self.of_minibatches,
        }
        return frozenset(need for need, what in held.items() if what is not None)

    @cached_property
    def rows(self) -> tuple[RowMoments, RowMoments, RowMoments] | None:
        """Row moments of x, of y and between them, where `gram` has summed them."""
        return None if self.gram is None else self.gram.rows

    @cached_property
    def centred(self) -> GramMatrix:
        """Inner products of the activations less each neuron's mean; a constant neuron is dead in it."""
        assert self.gram is not None
        return self.gram.centred

    @cached_property
    def covariances(self) -> Covariances:
        """Centred co-moments in units of the largest variances.

        Raises
        ------
        UndefinedMeasureError
            When no neuron of a side varies.
        """
        assert self.gram is not None
        return covariances(self.gram, self.centred)

    @cached_property
    def span_x(self) -> Span:
        """What the centred neurons of x span."""
        return span(self.covariances.xx)

    @cached_property
    def span_y(self) -> Span:
        """What the centred neurons of y span."""
        return span(self.covariances.yy)

    @cached_property
    def along_x(self) -> FloatArray:
        """Coordinates of the y neurons in the span of x, (rank, n_y)."""
        return self.span_x.coordinates(self.covariances.xy)

    @cached_property
    def cross(self) -> FloatArray:
        """Inner products of the bases of the two spans, (rank, rank)."""
        return self.span_y.coordinates(self.along_x.T).T

    @cached_property
    def canonical(self) -> Canonical:
        """Canonical correlations of the two layers."""
        return canonical(self.cross)

    @cached_property
    def partners(self) -> Partners:
        """The one-to-one assignment of neurons whose correlations have the largest sum."""
        return partners(self.covariances)


@dataclass(frozen=True)
class Measure:
    """One way to say in a number how alike two layers are."""

    name: str
    """In studies and result files: ``maximum-match``."""
    version: int
    """From 1; counts up whenever results change."""
    needs: frozenset[Need]
    function: Callable[[Evidence, float | None], float]
    """Of the evidence and the parameter; raises UndefinedMeasureError(reason) where it says nothing."""
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
    aliases: tuple[str, ...] = ()
    """Other names that people call it by."""
    usual: bool = False
    """Whether a study has it that names no measures."""
    held_out: Callable[[Evidence, Evidence, float | None], float] | None = None
    """Fitted to the first evidence, of all folds but one, and evaluated on the second, of that fold; raises
    as `function` does. It may be below `bounds`. None where nothing is fitted."""

    @property
    def depends_on_centre(self) -> bool:
        """Whether it follows the profile, raw or centred; all others subtract means by themselves."""
        return "profile" in self.needs


def evaluate(measure: Measure, evidence: Evidence, parameter: float | None = None) -> float | None:
    """Return the value of a measure, or None where it is undefined: `undefined_reason` says why.

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

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, match_profile
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 3))
    >>> y = np.hstack([x[:, :2], rng.standard_normal((200, 1))])
    >>> from spanmatch.measures import Evidence, evaluate, measure_named
    >>> gram = GramMatrix.from_activations(x, y)
    >>> evidence = Evidence(gram, match_profile(gram))
    >>> round(evaluate(measure_named("cka"), evidence), 3)
    0.683
    >>> round(evaluate(measure_named("maximum-match"), evidence, 0.3), 3)
    0.667
    """
    return _value_or_reason(measure, parameter, evidence)[0]


def evaluate_held_out(
    measure: Measure, train: Evidence, test: Evidence, parameter: float | None = None
) -> float | None:
    """Return the value of a measure that is fitted to some samples and evaluated on others.

    Parameters
    ----------
    measure : Measure
        One with `held_out`.
    train, test : Evidence
        Of the samples that it is fitted to, and of those that it is evaluated on.
    parameter : float, optional
        Epsilon, for a measure that has one.

    Returns
    -------
    float or None
        None where it is undefined: `undefined_reason` says why.

    Raises
    ------
    TypeError
        As `evaluate`.
    ValueError
        As `evaluate`, and when the measure has no held-out value.
    """
    return _value_or_reason(measure, parameter, train, test)[0]


def undefined_reason(
    measure: Measure, evidence: Evidence, parameter: float | None = None, *, test: Evidence | None = None
) -> str | None:
    """Say why a measure has no value; None where it has one.

    Parameters
    ----------
    measure : Measure
        Which one.
    evidence : Evidence
        What is known about the two layers.
    parameter : float, optional
        Epsilon, for a measure that has one.
    test : Evidence, optional
        Of the samples left out, if the held-out value is meant.

    Raises
    ------
    TypeError, ValueError
        As `evaluate` and `evaluate_held_out`.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix
    >>> from spanmatch.measures import Evidence, measure_named, undefined_reason
    >>> constant = Evidence(GramMatrix.from_activations(np.ones((10, 2)), np.ones((10, 3))))
    >>> undefined_reason(measure_named("cka"), constant)
    'no neuron of layer x varies over the 10 samples'
    """
    return _value_or_reason(measure, parameter, evidence, test)[1]


def _value_or_reason(
    measure: Measure, parameter: float | None, evidence: Evidence, test: Evidence | None = None
) -> tuple[float | None, str | None]:
    """Evaluate on the evidence, or fit to it and evaluate on `test`."""
    if (parameter is None) != (measure.parameter is None):
        rule = f"be {measure.parameter}" if measure.parameter else "be left out"
        remedy = "pass one, such as 0.3" if measure.parameter else "it has one value"
        raise InputTypeError(
            f"`parameter` must {rule} for measure {measure.name!r}, got {parameter!r}; {remedy}"
        )
    named = {"evidence": evidence} if test is None else {"train": evidence, "test": test}
    for name, each in named.items():
        if lacking := sorted(measure.needs - each.gives):
            raise InputValueError(
                f"`{name}` must give {' and '.join(lacking)} for measure {measure.name!r}, got "
                f"{', '.join(sorted(each.gives)) or 'nothing'}; it needs "
                f"{', and '.join(map(PASSES.__getitem__, lacking))}"
            )
    try:
        if test is None:
            value = measure.function(evidence, parameter)
        elif measure.held_out is None:
            raise InputValueError(
                f"`measure` must have a held-out value, got {measure.name!r}, to which nothing is fitted; "
                "evaluate it on all samples"
            )
        else:
            value = measure.held_out(evidence, test, parameter)
    except UndefinedMeasureError as error:
        return None, str(error)
    return (None, "it is not a number") if math.isnan(value) else (float(value), None)
