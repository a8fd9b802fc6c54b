"""The maximum match at one epsilon.

Apart from the profile, which costs more when most neurons match.
"""

from spanmatch.matching.checks import check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Match
from spanmatch.matching.scaled import scale
from spanmatch.matching.state import MatchState


def maximum_match(gram: GramMatrix, *, epsilon: float) -> Match:
    """Find the maximum match: the union of all ε-matches, itself one (Lemma 2, Def. 3, Alg. 1).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1); 0 asks for an exact match, where residuals
        below 1e-6 count as zero because a Gram matrix cannot tell them from it.

    Returns
    -------
    Match
        The neurons of both sides in the maximum match; empty when nothing matches. Dead neurons are in no
        match: the authors' convention (by the letter of Def. 1 they would be in every one).

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1) or `gram` has seen no sample.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.

    See Also
    --------
    match_profile : The maximum match at every epsilon, and which neurons are in it only by rounding
        (``match_profile(gram).uncertain(epsilon)``).

    Notes
    -----
    Removes the neuron with the largest residual until none is above `epsilon`: Alg. 1 of Wang et al. 2018
    (arXiv 1810.11750) in another order, which does not change the result. Costs O((n_x + n_y)²) flops for
    each neuron removed, after one factorisation.
    """
    bound = check_epsilon(epsilon)
    warn_if_too_few_samples(gram)
    state = MatchState(scale(gram))
    state.settle(bound)
    return state.scaled.match(state.labels())
