"""One minimal match of one neuron."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from spanmatch.matching.checks import check_dead, check_epsilon, check_neuron, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Dead, Match, Neuron, alone
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.scaled import scale
from spanmatch.matching.state import MatchState


def minimal_match(
    gram: GramMatrix,
    neuron: Neuron,
    *,
    epsilon: float,
    order: Sequence[Neuron] | None = None,
    dead: Dead = "exclude",
) -> Match | None:
    """Find one minimal match of a neuron: an ε-match around it that contains no smaller one (Def. 9, Alg. 2).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    neuron : tuple
        ``("x", i)`` or ``("y", j)``.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1).
    order : sequence of neurons, optional
        The order in which neurons are tried for removal, which decides which of several minimal matches is
        found; neurons that it lacks are tried after it, x ascending and then y ascending. When left out, an
        order that the activations give: renumbering neurons then renumbers the match.
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter. A dead neuron's one minimal match is then itself alone: what spans nothing lies in
        the span of nothing. No other neuron's minimal match holds it.

    Returns
    -------
    Match or None
        A match that contains `neuron` none of whose proper sub-matches does, hence a simple match (Thm. 10);
        None when `neuron` is not in the maximum match.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1), a neuron's side is neither "x" nor "y", `dead` is none of the two
        words, or `gram` has seen no sample.
    IndexError
        When `neuron` or one in `order` does not exist.
    TypeError
        When a neuron is not a pair of a side and an index.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    Notes
    -----
    Alg. 2 of Wang et al. 2018 (arXiv 1810.11750), once for each other neuron u: remove u and take the maximum
    match of the rest; if `neuron` is still in it, go on from there, otherwise put u back. What the removal of
    u alone does costs O(n); O(n²) is spent for each neuron that then leaves.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, minimal_match
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> minimal_match(gram, ("x", 0), epsilon=0.3)
    Match(x=[0, 1], y=[0, 1])
    >>> print(minimal_match(gram, ("x", 2), epsilon=0.3))
    None
    """
    bound = check_epsilon(epsilon)
    wanted = check_neuron(gram, neuron)
    tried = [check_neuron(gram, other, "order") for other in order or ()]
    check_dead(dead)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    state = MatchState(scale(gram))
    keep = state.scaled.label(wanted)
    if keep is None and dead == "match":
        return alone(wanted)
    state.peel(bound)
    if keep is None or not state.alive[keep]:
        return None
    rest = range(state.scaled.size) if order is None else np.argsort(state.scaled.neurons).tolist()
    labels = [state.scaled.label(other) for other in tried]
    first = [label for label in labels if label is not None]
    state = shrink(state, keep, (*first, *rest), bound)
    return state.scaled.match(state.labels())


def shrink(state: MatchState, keep: int, order: Iterable[int], epsilon: float) -> MatchState:
    """Make an ε-match minimal around a neuron (Alg. 2).

    Parameters
    ----------
    state : MatchState
        An ε-match that contains `keep`; used up.
    keep : int
        Label of the neuron that stays.
    order : iterable of int
        Labels to try to remove, in this order, each the first time that it occurs.
    epsilon : float
        Largest relative residual that may stay.

    Returns
    -------
    MatchState
        The minimal match.
    """
    needed = np.zeros(state.scaled.size, dtype=np.bool_)
    needed[keep] = True
    noted = False
    for label in order:
        if needed[label] or not state.alive[label]:
            continue
        smaller = _without(state, label, needed, epsilon)
        if smaller is not None:
            state, noted = smaller, False
            continue
        needed[label] = True
        if not noted:
            _note_needed(state, needed, epsilon)
            noted = True
    return state


def _note_needed(state: MatchState, needed: NDArray[np.bool_], epsilon: float) -> None:
    """Note without whom a needed one would be too far, and so on: smaller matches need them, too."""
    labels = np.flatnonzero(state.alive & ~needed)
    falls, _ = state.falls_with_each(labels, epsilon)
    found = falls[:, needed].any(axis=1)
    while found.any():
        needed[labels[found]] = True
        labels, falls, new = labels[~found], falls[~found], labels[found]
        found = falls[:, new].any(axis=1)


def _without(state: MatchState, label: int, needed: NDArray[np.bool_], epsilon: float) -> MatchState | None:
    """Return the maximum match without a label, or None when one of the `needed` labels is not in it.

    `keep` falls with any neuron whose removal, from a match at least as large, was found to make it fall.
    """
    leaving = np.array([label])
    while (residuals := state.residuals_without(leaving)) is not None:
        too_far = residuals > epsilon
        if (too_far & needed).any():
            return None
        if not too_far.any():
            state.remove(leaving)
            return state
        leaving = np.concatenate((leaving, np.flatnonzero(too_far)))
    trial = state.copy()
    trial.remove(leaving)
    return trial if trial.settle(epsilon, needed) else None
