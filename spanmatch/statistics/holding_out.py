"""Residuals of images that had no part in the fit, and what they say of the match."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from spanmatch.matching.dead import is_live
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.profile import MatchProfile
from spanmatch.statistics.resampling import Centre, checked_folds, whole, without

# Of unit squared lengths: keeps members that depend on each other from blowing up, and moves no other residual.
RIDGE = 1e-10
# Members that may leave, as a share, before fits are computed afresh.
STALE = 0.2
LEARNED = 1.0


@dataclass(frozen=True, eq=False)
class HeldOutProfile(MatchProfile):
    """Critical epsilons without the optimism of fits."""

    held_out_x: FloatArray
    held_out_y: FloatArray
    in_sample_x: FloatArray
    in_sample_y: FloatArray


def held_out_profile(folds: Sequence[GramMatrix], *, centre: Centre = "raw", share=None) -> HeldOutProfile:
    folds = checked_folds(folds)
    state = _Peeling(folds, centre)
    share = (len(folds) - 1) / (2 * len(folds) - 1) if share is None else share
    n_x, n_y = folds[0].n_x, folds[0].n_y
    critical = np.full(n_x + n_y, np.inf)
    at = np.full((2, n_x + n_y), np.inf)
    level = np.inf
    snap = np.zeros((2, state.alive.size))
    while state.alive.any():
        held, fitted = state.squared()
        blend = np.where(
            state.alive, share(held, fitted) if callable(share) else held**share * fitted ** (1 - share), -1.0
        )
        farthest = int(np.argmax(blend))
        if blend[farthest] < level:
            level = blend[farthest]
            snap = np.stack((held, fitted))
        place = state.neurons[farthest]
        critical[place] = np.sqrt(min(level, 1.0))
        at[:, place] = np.sqrt(snap[:, farthest])
        state.remove(farthest)
    bounds = np.stack((np.zeros_like(critical), np.ones_like(critical)), 1)
    return HeldOutProfile(
        critical[:n_x],
        critical[n_x:],
        bounds[:n_x],
        bounds[n_x:],
        at[0, :n_x],
        at[0, n_x:],
        at[1, :n_x],
        at[1, n_x:],
    )


class _Peeling:
    def __init__(self, folds, centre):
        total = whole(folds)
        if centre == "mean":
            total = total.centred
        norms = total.norms
        self.neurons = np.flatnonzero(is_live(norms))
        inverse = 1 / norms[self.neurons]
        scale = np.multiply.outer(inverse, inverse)
        at = np.ix_(self.neurons, self.neurons)
        fitted, tested = [], []
        for place, fold in enumerate(folds):
            others = without(folds, place)
            if centre == "raw":
                fitted.append(others.matrix[at] * scale)
                tested.append(fold.matrix[at] * scale)
            else:
                apart = fold.sums / fold.n_samples - others.sums / others.n_samples
                apart = apart[self.neurons] * inverse
                fitted.append(others.centred.matrix[at] * scale)
                tested.append(
                    fold.centred.matrix[at] * scale + fold.n_samples * np.multiply.outer(apart, apart)
                )
        all_ = total.matrix[at] * scale
        self.fitted = np.stack([*fitted, all_])
        self.tested = np.stack([*tested, all_])
        d = np.arange(len(all_))
        self.novel = self.tested[:, d, d] * LEARNED > self.fitted[:, d, d]
        self.novel[-1] = False
        self.alive = np.ones(self.neurons.size, bool)
        n_x = int(np.searchsorted(self.neurons, folds[0].n_x))
        self.n_x = n_x
        x, y = np.arange(n_x), np.arange(n_x, self.neurons.size)
        self.spans = [_Span(self, x, y), _Span(self, y, x)]

    def squared(self):
        held, fitted = np.ones((2, self.alive.size))
        for span in self.spans:
            held[span.targets] = span.squared[:-1].sum(axis=0) / span.lengths
            fitted[span.targets] = span.squared[-1]
        return np.maximum(held, 0), np.maximum(fitted, 0)

    def remove(self, neuron):
        self.alive[neuron] = False
        self.spans[0 if neuron < self.n_x else 1].remove(neuron)


class _Span:
    def __init__(self, peeling, members, targets):
        self.peeling, self.members, self.targets = peeling, members, targets
        self.fit()

    def fit(self):
        p = self.peeling
        self.members = self.members[p.alive[self.members]]
        self.targets = self.targets[p.alive[self.targets]]
        m, t = self.members, self.targets
        fitted_mm = p.fitted[:, m[:, None], m]
        fitted_mt = p.fitted[:, m[:, None], t]
        self.mm = p.tested[:, m[:, None], m]
        self.mt = p.tested[:, m[:, None], t]
        vv = p.tested[:, t, t]
        self.lengths = vv[:-1].sum(axis=0)
        k = len(fitted_mm)
        novel = p.novel[:, m]
        for i in range(k):
            fitted_mm[i, novel[i]] = 0
            fitted_mm[i, :, novel[i]] = 0
            fitted_mt[i, novel[i]] = 0
        self.inverse = np.empty((k, m.size, m.size))
        self.weights = np.empty((k, m.size, t.size))
        for i in range(k):
            if m.size:
                a = fitted_mm[i].copy()
                a[np.diag_indices(m.size)] += RIDGE
                c = cho_factor(a)
                both = cho_solve(c, np.hstack((np.eye(m.size), fitted_mt[i])))
                self.inverse[i], self.weights[i] = both[:, : m.size], both[:, m.size :]
        self.squared = vv + ((self.mm @ self.weights - 2 * self.mt) * self.weights).sum(axis=1)
        self.fresh = m.size

    def remove(self, neuron):
        alive = int(self.peeling.alive[self.members].sum())
        if alive < (1 - STALE) * self.fresh or alive == 0:
            return self.fit()
        j = int(np.searchsorted(self.members, neuron))
        p = self.inverse[:, :, j].copy()
        c = self.weights[:, j] / p[:, j, None]
        hp = np.matmul(self.mm, p[:, :, None])[:, :, 0]
        gain = np.matmul(hp[:, None], self.weights)[:, 0] - np.matmul(p[:, None], self.mt)[:, 0]
        self.squared += c * (c * (p * hp).sum(axis=1)[:, None] - 2 * gain)
        self.weights -= p[:, :, None] * c[:, None]
        self.weights[:, j] = 0
        self.inverse -= p[:, :, None] * (p / p[:, j, None])[:, None]
        self.inverse[:, j] = 0
        self.inverse[:, :, j] = 0
