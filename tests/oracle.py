"""The paper's definitions and algorithms on the activations themselves, written for clarity.

Float64 least squares by singular value decomposition, sets of neurons, no updates: slow, and easy to check.
"""

from itertools import chain, combinations

import numpy as np

# Singular values below this share of a unit column count as zero: as in the package, 1e-6 relative.
CUT = 1e-6


class Oracle:
    """A pair of layers: ``x`` and ``y`` of shapes (n_samples, n_x) and (n_samples, n_y)."""

    def __init__(self, x, y):
        self.vectors = {}
        self.sizes = {"x": x.shape[1], "y": y.shape[1]}
        for side, activations in (("x", x), ("y", y)):
            columns = np.asarray(activations, dtype=np.float64)
            norms = np.linalg.norm(columns, axis=0)
            for index in np.flatnonzero(norms > 1e-16):
                self.vectors[side, int(index)] = columns[:, index] / norms[index]
        self.everything = frozenset(self.vectors)
        self.closest = np.inf  # smallest |residual - epsilon| of all decisions so far
        self.near_cut = False  # whether a singular value was so
        self.grey = False  # whether a singular value or residual was neither clearly zero nor clearly not

    def residual(self, neuron, others):
        """Relative residual of a neuron onto the span of the neurons of the other side among `others`."""
        members = [self.vectors[other] for other in sorted(others) if other[0] != neuron[0]]
        if not members:
            return 1.0
        left, values, right = np.linalg.svd(np.stack(members, axis=1), full_matrices=False)
        kept = values > CUT
        vector = self.vectors[neuron]
        value = float(np.linalg.norm(vector - left[:, kept] @ (left[:, kept].T @ vector)))
        weights = right[kept].T @ (left[:, kept].T @ vector / values[kept])
        self._note_grey(values, value, np.abs(weights).sum())
        return value if value > CUT else 0.0

    def is_match(self, neurons, epsilon):
        """Def. 1."""
        return all(self.within(neuron, neurons, epsilon) for neuron in neurons)

    def within(self, neuron, others, epsilon):
        residual = self.residual(neuron, others)
        self.closest = min(self.closest, abs(residual - epsilon) if residual else np.inf)
        return residual <= epsilon

    def maximum_match(self, epsilon, among=None):
        """Alg. 1."""
        current = self.everything if among is None else frozenset(among)
        while True:
            kept = current
            for side in ("x", "y"):
                dropped = {n for n in kept if n[0] == side and not self.within(n, kept, epsilon)}
                kept = kept - dropped
            if kept == current:
                return kept
            current = kept

    def minimal_match(self, neuron, epsilon, order):
        """Alg. 2, for an order that names every neuron."""
        current = self.maximum_match(epsilon)
        if neuron not in current:
            return None
        for other in order:
            if other != neuron and other in current:
                smaller = self.maximum_match(epsilon, current - {other})
                if neuron in smaller:
                    current = smaller
        return current

    def critical_epsilons(self):
        """Critical epsilon of every neuron by peeling with fresh residuals; infinity for dead ones."""
        critical = {(s, i): np.inf for s in ("x", "y") for i in range(self.sizes[s])}
        current, level = set(self.everything), 1.0
        while current:
            residuals = {neuron: self.residual(neuron, current) for neuron in sorted(current)}
            farthest = max(residuals, key=residuals.get)
            level = min(level, residuals[farthest])
            critical[farthest] = level
            current.remove(farthest)
        return critical

    def all_matches(self, epsilon):
        """Every non-empty match, by brute force over all subsets."""
        neurons = sorted(self.everything)
        subsets = chain.from_iterable(combinations(neurons, k) for k in range(1, len(neurons) + 1))
        return [frozenset(s) for s in subsets if self.is_match(frozenset(s), epsilon)]

    def decided(self, margin=1e-6):
        """Whether every decision so far was clear of rounding."""
        return self.closest > margin and not self.grey

    def _note_grey(self, values, residual, weight):
        """Note what inner products in float64 cannot decide: they err by 1e-15 times squared weights."""
        noise = 1e-15 * weight**2
        unclear = noise > 1e-13 if residual < CUT else noise > 1e-7 * residual
        self.near_cut |= bool(((values > CUT / 10) & (values < 10 * CUT)).any())
        self.grey |= self.near_cut
        self.grey |= bool(unclear or CUT / 10 < residual < 10 * CUT)


def minimal_ones(matches, neuron):
    """Those matches that contain `neuron` and no other such match: the v-minimal matches (Def. 9)."""
    around = [match for match in matches if neuron in match]
    return [match for match in around if not any(other < match for other in around)]


def as_set(match):
    """A `spanmatch.Match` as the oracle's set of neurons."""
    return frozenset(match.neurons())
