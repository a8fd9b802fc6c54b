"""Values of two layers beside what chance gives, their errors and their held-out values, one a row."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spanmatch.comparing.compared_values import ComparedRow
from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.pairs import Pair
from spanmatch.errors import InputValueError
from spanmatch.matching.centring import Centre
from spanmatch.measures import Measure
from spanmatch.statistics.holding_out import held_out
from spanmatch.statistics.jackknifed import jackknife
from spanmatch.statistics.nulls import null
from spanmatch.statistics.quantities import Rows


@dataclass(frozen=True)
class EvidenceRow(ComparedRow):
    """A measure of two layers, and what it has to be held against; None where that is not known.

    Attributes
    ----------
    null_mean, p : float or None
        What permutations of the samples give on average, and how often they give as much: see `Test`.
    permutations : int
        How many.
    error : float or None
        Standard error by the jackknife.
    held_out : float or None
        On samples that had no part in the fit: see `HeldOutRow`.
    folds : int
        How many.
    """

    null_mean: float | None = None
    p: float | None = None
    permutations: int = 0
    error: float | None = None
    held_out: float | None = None
    folds: int = 0


def evidence_rows(
    rows: Sequence[ComparedRow],
    pair: Pair,
    group: GroupSums,
    measures: Collection[Measure],
    epsilons: Collection[float],
    centre: Centre,
) -> Iterator[EvidenceRow]:
    """Yield the rows of a pair with what its samples tell, if they are kept, and its folds, if it has any.

    Parameters
    ----------
    rows
        Of the pair.
    pair, group
        Whose statistic is resampled.
    measures, epsilons, centre
        Of the rows.

    Raises
    ------
    ValueError
        If there are neither samples nor folds.
    """
    folds = len(group.folds) if len(group.folds) > 1 else 0
    if not (folds or group.are_kept):
        raise InputValueError(
            "`evidence` must have samples or folds to stand on, got sums alone; compare(…, folds=10, "
            "keep_samples=True) gives errors, held-out values and nulls"
        )
    asked: Any = {
        "measures": [each for each in measures if "minibatches" not in each.needs],
        "epsilons": epsilons,
        # profiles less means say nothing of offsets, where no row is of a profile
        "centre": centre if any(each.depends_on_centre for each in measures) else "mean",
    }
    found: list[Rows[Any]] = []
    if group.are_kept:
        x, y, groups = group.samples(pair)
        found.append(null(x, y, groups=groups, **asked))
    if folds:
        grams = group.grams(pair)
        found += [jackknife(grams, **asked), held_out(grams, **asked)]
    for row in rows:
        known = [one for each in found for one in each.rows if _key(one) == _key(row)]
        beside = {name: value for one in known for name, value in vars(one).items() if name in _BESIDE}
        yield EvidenceRow(**asdict(row), **beside)


_BESIDE = EvidenceRow.__dataclass_fields__.keys() - ComparedRow.__dataclass_fields__.keys()


def _key(row: Any) -> tuple[str, float | None]:  # noqa: ANN401 - a row of any of them
    return row.measure, row.parameter
