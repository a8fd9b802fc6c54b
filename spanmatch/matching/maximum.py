"""The maximum match at one epsilon, faster than a profile where most neurons match."""

from spanmatch.matching.checks import check_dead, check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Dead, Match
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.scaled import scale
from spanmatch.matching.state import MatchState


def maximum_match(gram: GramMatrix, *, epsilon: float, dead: Dead = "exclude") -> Match:
    """Find the maximum match: the union of all ε-matches, itself one (Lemma 2, Def. 3, Alg. 1).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1); 0 asks for an exact match, where residuals
        below 1e-6 count as zero because a Gram matrix cannot tell them from it.
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter.

    Returns
    -------
    Match
        The neurons of both sides in the maximum match; empty when nothing matches.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1), `dead` is none of the two words, or `gram` has seen no sample.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    See Also
    --------
    match_profile : The maximum match at every epsilon, and which neurons are in it only by rounding
        (``match_profile(gram).uncertain(epsilon)``).

    Notes
    -----
    Removes the neurons with the largest residuals until none is above `epsilon`: Alg. 1 of Wang et al. 2018
    (arXiv 1810.11750) in another order, which does not change the result. Costs O((n_x + n_y)²) flops for
    each neuron removed, after one factorisation.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, maximum_match
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> maximum_match(gram, epsilon=0.3)
    Match(x=[0, 1], y=[0, 1])
    """
    bound = check_epsilon(epsilon)
    check_dead(dead)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    state = MatchState(scale(gram))
    state.peel(bound)
    found = state.scaled.match(state.labels())
    return found if dead == "exclude" else found | gram.dead
