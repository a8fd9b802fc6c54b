"""Linear CKA of unbiased estimates: the bias of few samples and many neurons is taken off."""

import math

import numpy as np

from spanmatch.errors import InputValueError, UndefinedMeasureError
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.row_moments import RowMoments
from spanmatch.measures.measure import Evidence, Measure

# Of terms that cancel, a share this small may be rounding alone.
ROUNDED = 1e-10
# Sums of products of four activations below this have lost digits to underflow.
LEAST = 1e-280
# By how much traces of the same samples may differ, relatively.
ALIKE = 1e-6


def debiased_alignment(evidence: Evidence, _: float | None) -> float:
    """Return HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)) of unbiased estimates.

    Costs O((n_x + n_y)²) flops.
    """
    of = evidence.covariances
    assert evidence.rows is not None
    if of.n_samples < 4:
        raise UndefinedMeasureError(f"an unbiased estimate needs 4 samples, and there are {of.n_samples}")
    sides = (of.unit_x, float(of.xx.trace())), (of.unit_y, float(of.yy.trace()))
    own_x, own_y, shared = (
        _estimate(products, rows, of.n_samples, sides[one], sides[other])
        for products, rows, one, other in zip(
            (of.xx, of.yy, of.xy), evidence.rows, (0, 1, 0), (0, 1, 1), strict=True
        )
    )
    for name, own, (_unit, trace) in (("x", own_x, sides[0]), ("y", own_y, sides[1])):
        if own <= ROUNDED * trace**2:
            raise UndefinedMeasureError(
                f"the unbiased estimate of layer {name} with itself is 0: all its samples are equally far "
                "from each other"
            )
    return float(np.clip(shared / math.sqrt(own_x) / math.sqrt(own_y), -1, 1))


def _estimate(
    products: FloatArray, rows: RowMoments, n: int, x: tuple[float, float], y: tuple[float, float]
) -> float:
    """Return n (n - 3) times the unbiased HSIC (Song et al., eq. 5), without its n x n kernels.

    With rows centred it is |Cxy|² - n / (n - 2) Σ|x|²|y|² + Σ|x|² Σ|y|² / ((n - 1)(n - 2)).
    """
    (unit_x, trace_x), (unit_y, trace_y) = x, y
    known = trace_x * unit_x**2, trace_y * unit_y**2
    apart = max(abs(found - of) / of for found, of in zip(rows.sums[1:], known, strict=True))
    if rows.n_samples != n or apart > ALIKE:
        raise InputValueError(
            "`rows` must be of the samples of `gram`, about their means, got Σ|x|² and Σ|y|² "
            f"{rows.sums[1]:g} and {rows.sums[2]:g} over {rows.n_samples} samples, not {known[0]:g} and "
            f"{known[1]:g} over {n}; pass what was summed with its co-moments"
        )
    if known[0] * known[1] < LEAST:
        raise UndefinedMeasureError(
            "products of four activations are too small to be told from 0; multiply the layers by a constant"
        )
    both = float(rows.sums[0]) / unit_x / unit_x / unit_y / unit_y
    shared = float(np.vdot(products, products))
    return shared - n / (n - 2) * both + trace_x * trace_y / ((n - 1) * (n - 2))


DEBIASED_CKA = Measure(
    name="debiased-cka",
    version=1,
    needs=frozenset({"comoments", "row-norms"}),
    function=debiased_alignment,
    label="debiased CKA",
    definition="Debiased CKA is linear CKA of unbiased estimates of its three terms, so that layers that "
    "share nothing have 0 on average, however few the samples and however many the neurons; it may be "
    "negative.",
    reference="Nguyen et al. 2021, arXiv 2010.15327, after Song et al. 2012",
    bounds=(-1.0, 1.0),
)
