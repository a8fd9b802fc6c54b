"""The match profile: the smallest epsilon at which each neuron belongs to the maximum match.

Apart from the search at one epsilon, because it answers for all of them.
"""

from dataclasses import dataclass

import numpy as np

from spanmatch.matching.checks import check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import FloatArray, GramMatrix
from spanmatch.matching.match import Match
from spanmatch.matching.scaled import scale
from spanmatch.matching.state import MatchState


@dataclass(frozen=True, eq=False)
class MatchProfile:
    """Critical epsilon of every neuron: the maximum match at any epsilon, by a comparison.

    Attributes
    ----------
    x, y : ndarray, (n_x,) and (n_y,)
        Smallest epsilon at which the neuron belongs to the maximum match; infinity for dead neurons. Values
        below 1e-6 cannot be told from zero in a Gram matrix and are 0.
    """

    x: FloatArray
    y: FloatArray

    def maximum_match(self, epsilon: float) -> Match:
        """Return the maximum match (Def. 3): the same as `spanmatch.maximum_match` at every epsilon.

        Raises
        ------
        ValueError
            When `epsilon` is outside [0, 1).
        """
        bound = check_epsilon(epsilon)
        return Match(np.flatnonzero(self.x <= bound), np.flatnonzero(self.y <= bound))

    def similarity(self, epsilon: float) -> float:
        """Return the maximum match similarity (Def. 3), in [0, 1]; dead neurons count in the denominator.

        Raises
        ------
        ValueError
            When `epsilon` is outside [0, 1).
        """
        return self.maximum_match(epsilon).size / (self.x.size + self.y.size)

    def curve(self) -> tuple[FloatArray, FloatArray]:
        """Return the whole curve of similarity over epsilon, a step function.

        Returns
        -------
        epsilons : ndarray, (n_steps,)
            Critical epsilons below 1, ascending, each once.
        similarities : ndarray, (n_steps,)
            Similarity from that epsilon up to the next; below the first it is 0.
        """
        values = np.concatenate((self.x, self.y))
        epsilons, counts = np.unique(values[values < 1], return_counts=True)
        return epsilons, np.cumsum(counts) / values.size


def match_profile(gram: GramMatrix) -> MatchProfile:
    """Find every neuron's critical epsilon by one peeling.

    The maximum match only shrinks as epsilon falls. Remove the neuron with the largest current residual,
    again and again: its critical epsilon is the smallest of the residuals so removed, its own included. (For
    a smaller epsilon no match inside the current set contains it; at that epsilon nothing is removed.)

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.

    Returns
    -------
    MatchProfile
        Critical epsilons of the neurons of both sides.

    Raises
    ------
    ValueError
        When `gram` has seen no sample.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.

    Notes
    -----
    Costs O((n_x + n_y)³) flops, about half a second for 512 + 512 neurons on one core. The peeling is not in
    the paper (Wang et al. 2018, arXiv 1810.11750), whose Alg. 1 it runs for every epsilon at once.
    Layers that are full of near-duplicates (relative differences of 1e-6 to 1e-4) may take ten times longer.
    """
    warn_if_too_few_samples(gram)
    state = MatchState(scale(gram))
    critical = np.full(gram.n_x + gram.n_y, np.inf)
    level = 1.0
    while state.alive.any():
        residuals = state.residuals()
        farthest = int(np.argmax(residuals))
        level = min(level, float(residuals[farthest]))
        if level == 0:
            critical[state.scaled.neurons[state.labels()]] = 0.0
            break
        critical[state.scaled.neurons[farthest]] = level
        state.remove(farthest)
    critical.flags.writeable = False
    return MatchProfile(critical[: gram.n_x], critical[gram.n_x :])
