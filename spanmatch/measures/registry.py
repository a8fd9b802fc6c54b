"""The registry of measures, by the names that studies, reports and documentation use."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from spanmatch.errors import InputValueError, unknown_name
from spanmatch.measures.linear_cka import LINEAR_CKA
from spanmatch.measures.maximum_match import MAXIMUM_MATCH
from spanmatch.measures.measure import Measure


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
        LINEAR_CKA,
    ]
)


def measure_named(name: str, argument: str = "measure") -> Measure:
    """Return the measure of a name.

    Parameters
    ----------
    name : str
        A key of `MEASURES`.
    argument : str, optional
        What a message calls the name.

    Raises
    ------
    ValueError
        When there is none.
    """
    if name not in MEASURES:
        raise unknown_name(argument, name, MEASURES, remedy="docs/measures.md describes them")
    return MEASURES[name]
