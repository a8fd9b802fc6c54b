"""Certificates against exact arithmetic, over more than a hundred kinds of hard layers.

`drills/drill_certificate.py` has the same over 10,000 draws.
"""

import warnings
from collections import Counter

import numpy as np
import pytest
from exact import Exact, less_mean
from examples import share
from hard import KINDS, STRUCTURES, draw

from spanmatch import GramMatrix, TooFewSamplesWarning, match_profile, relative_residuals, residual_bounds

# What float64 rounds in the last step of a bound, and the cuts that are admissible where the rank is unclear.
LAST_BIT, CUTS = 4e-16, (1e-6, 1e-7, 1e-5)

pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


def summed(x, y, chunk, rng):
    """Gram matrix of chunks, added one after the other or as a tree."""
    parts = []
    for start in range(0, len(x), chunk):
        part = GramMatrix.zeros(x.shape[1], y.shape[1])
        part.update(x[start : start + chunk], y[start : start + chunk])
        parts.append(part)
    while len(parts) > 1:
        parts = [parts[0] + parts[1], *parts[2:]] if rng.random() < 0.5 else [*parts[2:], parts[0] + parts[1]]
    return parts[0]


def wrong(kind, seed, centred=False):
    """Count certified values that are wrong, certified values, uncertain ones, and draws of unclear rank."""
    x, y, chunk = draw(kind, seed)
    rng = np.random.default_rng(seed)
    gram = summed(x, y, chunk, rng)
    if centred:
        x, y, gram = less_mean(x), less_mean(y), gram.centred
    exact = Exact(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewSamplesWarning)
        profile = match_profile(gram)
    low, high = np.vstack((profile.x_bounds, profile.y_bounds)).T
    counts = Counter(draws=1)
    for cut in CUTS:
        values = exact.critical_epsilons(cut)
        off = (values < low - LAST_BIT) | (values > high + LAST_BIT)
        counts["wrong"] += int(off.sum())
        counts["certified"] += values.size
        if not exact.grey:
            break
    counts["unclear"] += exact.grey
    counts["wide"] += int((high[np.isfinite(high)] - low[np.isfinite(low)] > 0.01).sum())
    for onto, side in (("x", ~exact.is_x(exact.live)), ("y", exact.is_x(exact.live))):
        count, first = (x.shape[1], 0) if onto == "x" else (y.shape[1], x.shape[1])
        subset = rng.choice(count, rng.integers(1, count + 1), replace=False)
        members = sorted(set(exact.live) & set(subset + first))
        found = relative_residuals(gram, onto=onto, subset=subset)
        allowed = residual_bounds(gram, onto=onto, subset=subset)
        targets, offset = exact.live[side], x.shape[1] if onto == "x" else 0
        exact.grey = False
        for cut in CUTS:
            values = exact.residuals(targets, members, cut)
            places = targets - offset
            counts["wrong"] += int((np.abs(values - found[places]) > allowed[places] + LAST_BIT).sum())
            counts["certified"] += values.size
            if not exact.grey:
                break
    return counts


@pytest.mark.parametrize("centred", [False, True], ids=["uncentred", "centred"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_nothing_certified_is_wrong(structure, centred):
    kinds = [kind for kind in KINDS if kind[0] == structure]
    seeds = range(share(3))
    found = sum((wrong(kind, seed, centred) for kind in kinds for seed in seeds), Counter())
    assert found["certified"] > 100 * len(seeds)
    assert found["wrong"] == 0
