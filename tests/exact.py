"""Least squares with a rank cut and the peeling, in long double: what a certificate must hold."""

import numpy as np

Real = np.longdouble


def orthonormal(columns):
    """Return an orthonormal basis of columns by Gram-Schmidt, twice, and what is left of none."""
    basis = np.zeros((len(columns), 0), dtype=Real)
    for column in columns.T:
        left, length = column, np.sqrt(column @ column)
        for _ in range(2):
            left = left - basis @ (basis.T @ left)
        if np.sqrt(left @ left) > 1e-18 * length:
            basis = np.column_stack((basis, left / np.sqrt(left @ left)))
    return basis


def singular(matrix):
    """Return left singular vectors and singular values: Jacobi rotations after float64's decomposition."""
    _, _, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    rotated = matrix @ orthonormal(right.T.astype(Real))
    count = rotated.shape[1]
    for _ in range(6):
        worst = Real(0)
        for i in range(count - 1):
            for j in range(i + 1, count):
                one, other = rotated[:, i].copy(), rotated[:, j].copy()
                a, b, c = one @ one, other @ other, one @ other
                if abs(c) <= 1e-18 * np.sqrt(a * b) or abs(c) < 1e-34:
                    continue
                worst = max(worst, abs(c) / np.sqrt(a * b))
                zeta = (b - a) / (2 * c)
                tangent = (1 if zeta >= 0 else -1) / (abs(zeta) + np.sqrt(1 + zeta**2))
                cosine = 1 / np.sqrt(1 + tangent**2)
                rotated[:, i] = cosine * (one - tangent * other)
                rotated[:, j] = cosine * (tangent * one + other)
        if worst < 1e-16:
            break
    values = np.sqrt((rotated**2).sum(axis=0))
    kept = values > 1e-17
    return rotated[:, kept] / values[kept], values[kept]


def less_mean(columns):
    """Return columns less their means in long double; of equal values, exactly zero."""
    moved = columns.astype(Real) - columns[0].astype(Real)
    return moved - moved.mean(axis=0)


class Exact:
    """A pair of layers: ``x`` and ``y`` of shapes (n_samples, n_x) and (n_samples, n_y).

    Attributes
    ----------
    grey : bool
        Whether a singular value of a span asked for so far lies within ten times of 1e-6.
    """

    def __init__(self, x, y):
        self.sides = x.shape[1], y.shape[1]
        joint = np.hstack((x.astype(Real), y.astype(Real)))
        with np.errstate(all="ignore"):
            norms = np.sqrt((joint**2).sum(axis=0))
        self.live = np.flatnonzero(norms > 1e-16)
        unit = np.zeros_like(joint)
        unit[:, self.live] = joint[:, self.live] / norms[self.live]
        self.unit = orthonormal(unit[:, self.live]).T @ unit  # the same inner products in fewer dimensions
        self.grey = False
        self._known = {}

    def is_x(self, neurons):
        return np.asarray(neurons) < self.sides[0]

    def residuals(self, targets, members, cut):
        """Relative residuals of neurons (x before y, counted on) onto the span of others."""
        if len(members) == 0 or len(targets) == 0:
            return np.ones(len(targets), dtype=Real)
        key = tuple(members)
        if key not in self._known:
            self._known[key] = singular(self.unit[:, list(members)])
        left, values = self._known[key]
        self.grey |= bool(((values > 1e-7) & (values < 1e-5)).any())
        left, vectors = left[:, values > cut], self.unit[:, list(targets)]
        for _ in range(2):
            vectors = vectors - left @ (left.T @ vectors)
        lengths = np.sqrt((vectors**2).sum(axis=0))
        return np.where(lengths <= 1e-6, 0, lengths)

    def critical_epsilons(self, cut):
        """Critical epsilon of every neuron; infinity for dead ones."""
        critical = np.full(sum(self.sides), np.inf, dtype=Real)
        current, level = self.live, Real(1)
        while current.size:
            x, y = current[self.is_x(current)], current[~self.is_x(current)]
            residuals = np.concatenate((self.residuals(x, y, cut), self.residuals(y, x, cut)))
            level = min(level, residuals.max())
            leaving = residuals >= level
            critical[current[leaving]] = level
            current = current[~leaving]
        return critical
