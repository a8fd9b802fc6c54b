"""The Gram matrix as every search uses it: live neurons only, each scaled to length one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpstrf, dtrtrs

from spanmatch.errors import InputValueError
from spanmatch.matching.canonical import canonical_order
from spanmatch.matching.certificate import SMALLEST_EPSILON
from spanmatch.matching.dead import is_live
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Indices, Match, Neuron

# Squared relative residuals up to this are zero.
RESOLUTION = SMALLEST_EPSILON**2


@dataclass(frozen=True)
class ScaledGram:
    """Joint Gram matrix with unit diagonal of some live neurons of both sides.

    Searches number these neurons 0, 1, …: these numbers are *labels*, x before y. On either side labels are
    in `canonical_order`, which the data give: what searches decide by a label, they decide by the data.

    Attributes
    ----------
    gram : ndarray, (n, n)
        Cosines between the activation vectors.
    neurons : ndarray, (n,)
        For each label its row in the joint matrix of all neurons: i for ("x", i), n_all_x + j for ("y", j).
    n_x : int
        How many of the labels are x neurons.
    n_all_x, n_all_y : int
        Numbers of neurons of the two sides, dead ones and left-out ones included.
    roundings : int
        Bound of the rounding error of each cosine, as that of the GramMatrix.
    """

    gram: FloatArray
    neurons: Indices
    n_x: int
    n_all_x: int
    n_all_y: int
    roundings: int

    @property
    def size(self) -> int:
        """Number of labels."""
        return self.neurons.size

    def label(self, neuron: Neuron) -> int | None:
        """Return the label of a neuron, or None when it is dead or left out."""
        side, index = neuron
        row = index if side == "x" else self.n_all_x + index
        places = np.flatnonzero(self.neurons == row)
        return int(places[0]) if places.size else None

    def labels(self, match: Match) -> Indices:
        """Return the labels of those neurons of a match that have one, ascending."""
        rows = np.concatenate((match.x, self.n_all_x + match.y))
        return np.flatnonzero(np.isin(self.neurons, rows))

    def neuron(self, label: int) -> Neuron:
        """Return the neuron that has this label."""
        row = int(self.neurons[label])
        return ("x", row) if label < self.n_x else ("y", row - self.n_all_x)

    def match(self, labels: Indices) -> Match:
        """Return the match of the neurons with these labels."""
        labels = np.sort(labels)
        rows = self.neurons[labels]
        split = int(np.searchsorted(labels, self.n_x))
        return Match(rows[:split], rows[split:] - self.n_all_x)

    def restrict(self, labels: Indices) -> "ScaledGram":
        """Return the scaled Gram matrix of these labels (ascending) alone, labelled anew."""
        return ScaledGram(
            gram=self.gram[labels[:, None], labels],
            neurons=self.neurons[labels],
            n_x=int(np.searchsorted(labels, self.n_x)),
            n_all_x=self.n_all_x,
            n_all_y=self.n_all_y,
            roundings=self.roundings,
        )


def scale(gram: GramMatrix) -> ScaledGram:
    """Return the unit-diagonal Gram matrix of the live neurons.

    Raises
    ------
    ValueError
        When no sample was seen.
    """
    if gram.n_samples == 0:
        raise InputValueError(
            "`gram` must hold at least one sample, got none; call `update` with activations first"
        )
    norms, scaled, marks = gram.norms, gram.matrix, gram.marks
    live = np.flatnonzero(is_live(norms))
    if live.size < norms.size:
        scaled = scaled[np.ix_(live, live)]
    inverse = 1 / norms[live]
    scaled *= inverse
    scaled *= inverse[:, None]
    np.fill_diagonal(scaled, 1.0)
    is_x = live < gram.n_x
    order = canonical_order(scaled, is_x, norms[live], None if marks is None else marks[:, live])
    return ScaledGram(
        gram=scaled[np.ix_(order, order)],
        neurons=live[order],
        n_x=int(np.count_nonzero(is_x)),
        n_all_x=gram.n_x,
        n_all_y=gram.n_y,
        roundings=gram.roundings,
    )


def independent(gram: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Choose neurons that span what all span, by pivoted Cholesky of their unit-diagonal Gram matrix.

    Parameters
    ----------
    gram : ndarray, (n, n)
        Unit-diagonal Gram matrix.

    Returns
    -------
    basis : ndarray of int, (rank,)
        Positions of the chosen neurons; all others lie in their span up to `RESOLUTION`.
    lower : ndarray, (rank, rank)
        Cholesky factor of the chosen neurons' Gram matrix, in the order of `basis`.
    """
    if len(gram) == 0:
        return np.empty(0, dtype=np.int64), np.empty((0, 0))
    factor, pivots, rank, _ = dpstrf(gram, tol=RESOLUTION, lower=1)
    return pivots[:rank].astype(np.int64) - 1, np.tril(factor[:rank, :rank])


def solve_lower(lower: FloatArray, right: FloatArray, *, transposed: bool = False) -> FloatArray:
    """Solve a triangular system that may be empty."""
    if len(lower) == 0:
        return right.copy()
    # LAPACK itself: SciPy's solve_triangular takes longer to call than a small system takes to solve.
    solution: FloatArray = dtrtrs(lower, right, lower=1, trans=int(transposed))[0]
    return solution
