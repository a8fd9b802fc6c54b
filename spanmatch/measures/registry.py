"""The registry of measures, by the names that studies, reports and documentation use."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from spanmatch.errors import InputTypeError, InputValueError, unknown_name
from spanmatch.measures.cca_mean import CCA_MEAN
from spanmatch.measures.cca_mean_squared import CCA_MEAN_SQUARED
from spanmatch.measures.debiased_cka import DEBIASED_CKA
from spanmatch.measures.linear_cka import LINEAR_CKA
from spanmatch.measures.maximum_match import MAXIMUM_MATCH
from spanmatch.measures.mean_critical_epsilon import MEAN_CRITICAL_EPSILON
from spanmatch.measures.measure import Measure
from spanmatch.measures.one_to_one_correlation import ONE_TO_ONE_CORRELATION
from spanmatch.measures.one_to_one_share import ONE_TO_ONE_SHARE
from spanmatch.measures.predictivity_of_x import PREDICTIVITY_OF_X
from spanmatch.measures.predictivity_of_y import PREDICTIVITY_OF_Y
from spanmatch.measures.principal_angle import PRINCIPAL_ANGLE
from spanmatch.measures.procrustes import PROCRUSTES
from spanmatch.measures.pwcca import PWCCA
from spanmatch.measures.rv import RV
from spanmatch.measures.similarity_area import SIMILARITY_AREA
from spanmatch.measures.svcca import SVCCA


def register(measures: Iterable[Measure]) -> Mapping[str, Measure]:
    """Return measures by name, in their order.

    Raises
    ------
    ValueError
        When two have one name.
    """
    by_name: dict[str, Measure] = {}
    for measure in measures:
        if measure.name in by_name:
            raise InputValueError(
                f"`measures` must have a name each, got {measure.name!r} for {by_name[measure.name].label} "
                f"and for {measure.label}; rename one"
            )
        by_name[measure.name] = measure
    return MappingProxyType(by_name)


MEASURES = register(
    [
        MAXIMUM_MATCH,
        MEAN_CRITICAL_EPSILON,
        SIMILARITY_AREA,
        LINEAR_CKA,
        DEBIASED_CKA,
        RV,
        CCA_MEAN,
        CCA_MEAN_SQUARED,
        SVCCA,
        PWCCA,
        PRINCIPAL_ANGLE,
        PROCRUSTES,
        PREDICTIVITY_OF_Y,
        PREDICTIVITY_OF_X,
        ONE_TO_ONE_CORRELATION,
        ONE_TO_ONE_SHARE,
    ]
)


def measure_named(name: str, argument: str = "measure") -> Measure:
    """Return the measure of a name.

    Parameters
    ----------
    name : str
        A key of `MEASURES`, or an alias of one.
    argument : str, optional
        What a message calls the name.

    Raises
    ------
    ValueError
        When there is none.

    Examples
    --------
    >>> from spanmatch.measures import measure_named
    >>> measure_named("cka").label
    'linear CKA'
    """
    for measure in MEASURES.values():
        if name in measure.aliases:
            return measure
    if not isinstance(name, str) or name not in MEASURES:
        raise unknown_name(argument, name, MEASURES, remedy="docs/measures.md describes them")
    return MEASURES[name]


def listed(measures: str | Measure | Iterable[str | Measure]) -> tuple[str | Measure, ...]:
    """Return measures, where one stands for itself alone.

    Raises
    ------
    TypeError
        When they are neither one nor several.
    """
    if isinstance(measures, str | Measure):
        return (measures,)
    if not isinstance(measures, Iterable):
        raise InputTypeError(
            f"`measures` must be names of measures, got {measures!r}; such as ['linear-cka']"
        )
    return tuple(measures)
