"""The minimum match of one neuron in the exact case, read off the coefficients without a search."""

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.matching.checks import check_dead, check_neuron, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Dead, Indices, Match, Neuron, Side, alone
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.scaled import RESOLUTION, ScaledGram, independent, scale, solve_lower
from spanmatch.matching.state import MatchState


def minimum_match(gram: GramMatrix, neuron: Neuron, *, dead: Dead = "exclude") -> Match | None:
    """Find the smallest exact match that contains a neuron, where each side is independent (Def. 7, Thm. 8).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    neuron : tuple
        ``("x", i)`` or ``("y", j)``.
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter. A dead neuron's minimum match is then itself alone. Only live
        neurons need be independent.

    Returns
    -------
    Match or None
        The match that is contained in every exact match around `neuron`; None when `neuron` is not in the
        exact maximum match.

    Raises
    ------
    ValueError
        When the live neurons of a side are linearly dependent (a minimum match need not exist then), the
        neuron's side is neither "x" nor "y", `dead` is none of the two words, or `gram` has seen no sample.
    IndexError
        When `neuron` does not exist.
    TypeError
        When `neuron` is not a pair of a side and an index.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within 1e-6 of their own mean.

    See Also
    --------
    minimal_match : Without the assumption of independence, and for any epsilon.

    Notes
    -----
    Inside the exact maximum match either side is a basis of one and the same space, so each neuron is a
    combination of the other side's in one way only. Every match around it holds the neurons with a non-zero
    coefficient, and theirs, and so on: what can be reached is the minimum match. A coefficient is zero when
    leaving its neuron out costs a relative residual of at most 1e-6, which a Gram matrix cannot tell from
    zero. Costs O((n_x + n_y)³), once. Wang et al. 2018 (arXiv 1810.11750) prove that it exists; reading it
    off the coefficients is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, minimum_match
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> minimum_match(gram, ("y", 1))
    Match(x=[0, 1], y=[0, 1])
    """
    wanted = check_neuron(gram, neuron)
    check_dead(dead)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, 0)
    scaled = scale(gram)
    for members in _sides(scaled):
        _check_independent(scaled, members)
    label = scaled.label(wanted)
    if label is None and dead == "match":
        return alone(wanted)
    state = MatchState(scaled)
    state.peel(0.0)
    if label is None or not state.alive[label]:
        return None
    labels = state.labels()
    exact = scaled.restrict(labels)
    return exact.match(_reachable(_needs(exact), int(np.searchsorted(labels, label))))


def _sides(scaled: ScaledGram) -> tuple[Indices, Indices]:
    labels = np.arange(scaled.size)
    return labels[: scaled.n_x], labels[scaled.n_x :]


def _check_independent(scaled: ScaledGram, members: Indices) -> tuple[Indices, NDArray[np.float64]]:
    """Return the order and the factor of a pivoted Cholesky factorisation of all members, or refuse."""
    basis, lower = independent(scaled.gram[np.ix_(members, members)])
    if basis.size < members.size:
        side: Side = "x" if members[0] < scaled.n_x else "y"
        raise InputValueError(
            f"`gram` must have linearly independent neurons on each side for minimum matches to exist, got "
            f"rank {basis.size} for {members.size} live neurons on side {side!r}; use "
            "minimal_match(gram, neuron, epsilon=0), which needs no independence"
        )
    return members[basis], lower


def _needs(exact: ScaledGram) -> NDArray[np.bool_]:
    """Tell for each neuron of an exact match (row) which of the other side (column) its combination uses."""
    needs = np.zeros((exact.size, exact.size), dtype=np.bool_)
    x, y = _sides(exact)
    for members, targets in ((x, y), (y, x)):
        members, lower = _check_independent(exact, members)
        inverse_factor = solve_lower(lower, np.eye(members.size))
        half = solve_lower(lower, exact.gram[np.ix_(members, targets)])
        weights = solve_lower(lower, half, transposed=True)
        # Without member k, the squared residual of a target grows by weight² / inv(G)_kk.
        cost = weights**2 / (inverse_factor**2).sum(axis=0)[:, None]
        needs[np.ix_(targets, members)] = (cost > RESOLUTION).T
    return needs


def _reachable(needs: NDArray[np.bool_], start: int) -> Indices:
    reached = np.zeros(len(needs), dtype=np.bool_)
    new = np.arange(len(needs)) == start
    while new.any():
        reached |= new
        new = needs[new].any(axis=0) & ~reached
    return np.flatnonzero(reached)
