"""Values of pairs of layers, from their sums: computed when they are asked for, and kept."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from spanmatch.comparing.compared import Compared
from spanmatch.comparing.compared_values import ComparedRow, LayerMatrix
from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.pairs import Pair
from spanmatch.errors import InputValueError
from spanmatch.matching.centring import Centre, centred_by
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.profile import MatchProfile, match_profile
from spanmatch.measures import Evidence, Measure, evaluate, measure_named, undefined_reason
from spanmatch.measures.minibatch_cka import MINIBATCH_CKA


class PairValues:
    """Measures of the pairs of a comparison, at any ε, raw or centred.

    Parameters
    ----------
    compared
        Whose sums they follow from.
    """

    def __init__(self, compared: Compared) -> None:
        self._compared = compared
        self._profiles: dict[tuple[Pair, Centre], MatchProfile] = {}
        self._values: dict[tuple[Pair, Measure, float | None, Centre], tuple[float | None, str]] = {}

    @contextmanager
    def one_after_another(self) -> Iterator[None]:
        """Give values of one pair after another, and hold what makes the next quick no longer than that."""
        try:
            yield
        finally:
            for group in self._compared.sums:
                group.rest()

    def group(self, pair: Pair) -> GroupSums:
        """Return the sums that a pair is in."""
        return next(group for group in self._compared.sums if pair in group)

    def gram(self, pair: Pair, *, rows: bool = True) -> GramMatrix:
        """Return the Gram matrix of a pair over all folds, with row moments or, sooner, without."""
        grams = self.group(pair).grams(pair, rows=rows)
        total = grams[0]
        for gram in grams[1:]:
            total = total + gram
        return total

    def profile(self, pair: Pair, centre: Centre, gram: GramMatrix | None = None) -> MatchProfile:
        """Return the match profile of a pair, of its Gram matrix where that is there already."""
        if (pair, centre) not in self._profiles:
            found = match_profile(centred_by(gram or self.gram(pair), centre))
            self._profiles[pair, centre] = found
        return self._profiles[pair, centre]

    def matrix(
        self, networks: tuple[str, str], measure: Measure, parameter: float | None, centre: Centre
    ) -> LayerMatrix:
        """Return a measure of all pairs of layers of two networks."""
        names = [tuple(layer.name for layer in self._compared.layers[network]) for network in networks]
        values = np.full((len(names[0]), len(names[1])), np.nan)
        places = [{name: place for place, name in enumerate(side)} for side in names]
        for pair in self._compared.chosen(None, networks):
            value, _ = self.value(pair, measure, parameter, centre)
            at = places[0][pair.x.layer], places[1][pair.y.layer]
            values[at] = math.nan if value is None else value
        shown = measure.label + ("" if parameter is None else f" at ε = {parameter:g}")
        if measure.depends_on_centre and centre == "mean":
            shown += ", less means"
        return LayerMatrix(
            values, *networks, names[0], names[1], shown, measure.bounds, measure.higher_is_closer
        )

    def row(self, pair: Pair, measure: Measure, parameter: float | None, centre: Centre) -> ComparedRow:
        """Return a value in a table."""
        value, reason = self.value(pair, measure, parameter, centre)
        shown = centre if measure.depends_on_centre else "mean"
        return ComparedRow(*pair.x, *pair.y, measure.name, parameter, shown, value, reason)

    def value(
        self, pair: Pair, measure: Measure, parameter: float | None, centre: Centre
    ) -> tuple[float | None, str]:
        """Return a value, or None and why it is undefined."""
        key = (pair, measure, parameter, centre)
        if key in self._values:
            return self._values[key]
        gram, profile = None, self._profiles.get((pair, centre))
        if measure.needs - {"profile", "minibatches"} or (measure.needs & {"profile"} and profile is None):
            gram = self.gram(pair, rows="row-norms" in measure.needs)
        if "profile" in measure.needs:
            profile = self.profile(pair, centre, gram)
        evidence = Evidence(gram, profile, self._of_minibatches(pair, measure))
        value = evaluate(measure, evidence, parameter)
        reason = "" if value is not None else undefined_reason(measure, evidence, parameter) or ""
        self._values[key] = value, reason
        return value, reason

    def _of_minibatches(self, pair: Pair, measure: Measure) -> float | None:
        if "minibatches" not in measure.needs:
            return None
        if self._compared.minibatch_cka is None:
            raise InputValueError(
                "`minibatch_cka` must be asked for in the call, got a statistic without batches; compare(…, "
                "minibatch_cka=True) estimates it, or take 'cka', which needs no batches"
            )
        value = self._compared.minibatch_cka[pair]
        return math.nan if value is None else value


def measure_of(measure: str | Measure) -> Measure:
    """Return a measure by its name, with dashes or underscores.

    Raises
    ------
    ValueError
        If there is none.
    """
    if isinstance(measure, Measure):
        return measure
    name = measure.replace("_", "-") if isinstance(measure, str) else measure
    return MINIBATCH_CKA if name == MINIBATCH_CKA.name else measure_named(name)
