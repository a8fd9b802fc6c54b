"""The match profile: the smallest epsilon at which each neuron belongs to the maximum match."""

from dataclasses import dataclass

import numpy as np

from spanmatch.errors import InputValueError
from spanmatch.matching.certificate import SMALLEST_EPSILON
from spanmatch.matching.checks import check_dead, check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.inputs import FloatArray
from spanmatch.matching.match import Dead, Match
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.scaled import ScaledGram, scale
from spanmatch.matching.state import MatchState


@dataclass(frozen=True, eq=False)
class MatchProfile:
    """Critical epsilon of every neuron: the maximum match at any epsilon, by a comparison.

    Attributes
    ----------
    x, y : ndarray, (n_x,) and (n_y,)
        Smallest epsilon at which the neuron belongs to the maximum match; infinity for dead neurons, unless
        they were to match: then 0. Values below 1e-6 cannot be told from zero in a Gram matrix and are 0.
    x_bounds, y_bounds : ndarray, (n_x, 2) and (n_y, 2)
        Certificate: what least squares on the activations, computed exactly, would give lies between, ends
        included. That is least squares with a rank cut: of a span of unit vectors, directions whose singular
        value is at most 1e-6 do not count, and residuals below 1e-6 are 0. Where a singular value is between
        1e-7 and 1e-5, so that the rank is unclear, the bounds hold what any cut between these would give:
        what hangs on such a rank is uncertain. Both ends of a dead neuron are its critical epsilon.

    Notes
    -----
    The proof, and where the rank counts as clear, is in docs/theory.md. `uncertain` and `similarity_interval`
    take an epsilon of 1, too, which `smallest_epsilon` may be; there every live neuron matches for certain.
    """

    x: FloatArray
    y: FloatArray
    x_bounds: FloatArray
    y_bounds: FloatArray

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

    def uncertain(self, epsilon: float) -> Match:
        """Return the neurons of which rounding or an unclear rank decides if they are in the maximum match.

        All others are certain, whatever the uncertain ones do.

        Raises
        ------
        ValueError
            When `epsilon` is outside [0, 1].
        """
        bound = check_epsilon(epsilon, closed=True)
        unclear = [(ends[:, 0] <= bound) & (bound < ends[:, 1]) for ends in (self.x_bounds, self.y_bounds)]
        return Match(np.flatnonzero(unclear[0]), np.flatnonzero(unclear[1]))

    def similarity_interval(self, epsilon: float) -> tuple[float, float]:
        """Return the similarity without and with all `uncertain` neurons.

        Raises
        ------
        ValueError
            When `epsilon` is outside [0, 1].
        """
        bound = check_epsilon(epsilon, closed=True)
        ends = np.concatenate((self.x_bounds, self.y_bounds))
        low, high = np.count_nonzero(ends <= bound, axis=0)[::-1] / len(ends)
        return float(low), float(high)

    @property
    def smallest_epsilon(self) -> float:
        """Smallest trustworthy epsilon above 0: neurons that match exactly cannot be told from others below.

        1e-6, or more where the layers are so ill-conditioned that rounding moves the residuals that are zero
        (or may be) further than that; 1 where there is no trustworthy epsilon below.
        """
        ends = np.concatenate((self.x_bounds, self.y_bounds))
        return max(SMALLEST_EPSILON, float(ends[ends[:, 0] == 0, 1].max(initial=0.0)))

    def curve(self) -> tuple[FloatArray, FloatArray]:
        """Return the whole curve of similarity over epsilon, a step function.

        Returns
        -------
        epsilons : ndarray, (n_steps,)
            Critical epsilons below 1, ascending, each once.
        similarities : ndarray, (n_steps,)
            Similarity from that epsilon up to the next; below the first it is 0.
        """
        return similarity_curve(self.x, self.y)


def similarity_curve(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the similarity (Def. 3) at every epsilon from the critical epsilons of both sides.

    Parameters
    ----------
    x, y : ndarray, (n_x,) and (n_y,)
        Critical epsilons; those from 1 on, of neurons in no match, count in the denominator alone.

    Returns
    -------
    epsilons : ndarray, (n_steps,)
        Critical epsilons below 1, ascending, each once.
    similarities : ndarray, (n_steps,)
        Similarity from that epsilon up to the next; below the first it is 0.
    """
    values = np.concatenate((x, y))
    epsilons, counts = np.unique(values[values < 1], return_counts=True)
    return epsilons, np.cumsum(counts) / values.size


def match_profile(gram: GramMatrix, *, dead: Dead = "exclude") -> MatchProfile:
    """Find every neuron's critical epsilon by one peeling.

    The maximum match only shrinks as epsilon falls. Remove the neuron with the largest current residual,
    again and again: its critical epsilon is the smallest of the residuals so removed, its own included. (For
    a smaller epsilon no match inside the current set contains it; at that epsilon nothing is removed.) Those
    whose residuals have reached that smallest one leave together.

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter: their critical epsilon is infinity or 0.

    Returns
    -------
    MatchProfile
        Critical epsilons of the neurons of both sides, and how far rounding may have moved them.

    Raises
    ------
    ValueError
        When `gram` has seen no sample, or `dead` is none of the two words.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within 0.3 of their own mean.

    Notes
    -----
    Costs O((n_x + n_y)³) flops, about a second for 512 + 512 neurons on one core and half a minute for
    2,048 + 2,048, in less than four times the memory of `gram` beside it. The peeling is not in
    the paper (Wang et al. 2018, arXiv 1810.11750), whose Alg. 1 it runs for every epsilon at once.
    Layers that are full of near-duplicates (relative differences of 1e-6 to 1e-4) may take ten times longer.

    The certificate holds for the exact critical epsilons even where rounding changed the order of removal.
    Let S_j be the neurons left before the j-th removal, of v_j, and r_u(S) the exact residual of u in S. From
    above: v_i is in each S_j with j ≤ i, and S_j is an ε-match for ε = max over u in S_j of r_u(S_j). From
    below: for ε < min over j ≤ i of r_{v_j}(S_j), the maximum match lies in S_1, hence lacks v_1, which only
    moves further away in a subset, hence lies in S_2, and so on: it lacks v_i. So bounds of these residuals,
    by running minima, bound the critical epsilon.

    Both hold with a rank cut, too: the bound from below is one of the residuals onto all spans of some of the
    members, and the bound from above allows for every direction that a cut took away so far. docs/theory.md
    has the proof.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, match_profile
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> profile = match_profile(gram)
    >>> profile.x, profile.y
    (array([0., 0., 1.]), array([0., 0., 1.]))
    >>> profile.maximum_match(0.3)
    Match(x=[0, 1], y=[0, 1])
    >>> round(profile.similarity(0.3), 3)
    0.667
    """
    check_dead(dead)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram)
    state = MatchState(scale(gram))
    critical = np.full((gram.n_x + gram.n_y, 3), np.inf if dead == "exclude" else 0.0)
    low = level = high = 1.0
    while state.alive.any():
        level, leaving = state.farthest(level)
        low = min(low, state.lowest(leaving))
        high = min(high, state.highest(high))
        critical[state.scaled.neurons[leaving]] = level, low, high
        state.remove(leaving)
    critical.flags.writeable = False
    x, y = critical[: gram.n_x], critical[gram.n_x :]
    return MatchProfile(x[:, 0], y[:, 0], x[:, 1:], y[:, 1:])


def check_profile(gram: GramMatrix, profile: MatchProfile | None) -> None:
    """Say why a profile that was given cannot be that of `gram`."""
    if profile is not None and (profile.x.size, profile.y.size) != (gram.n_x, gram.n_y):
        raise InputValueError(
            f"`profile` must be that of `gram`, {gram.n_x} + {gram.n_y} neurons, got "
            f"{profile.x.size} + {profile.y.size}; leave it out to have it computed"
        )


def inside_maximum(gram: GramMatrix, epsilon: float, profile: MatchProfile | None) -> ScaledGram:
    """Return the scaled Gram matrix of the maximum match: found by a search where there is no profile."""
    matched = None if profile is None else profile.maximum_match(epsilon)
    if matched is not None and gram.n_samples and not matched.size:  # as often as not, and no matter of scale
        nobody = np.empty(0, dtype=np.int64)
        return ScaledGram(np.empty((0, 0)), nobody, 0, gram.n_x, gram.n_y, gram.roundings)
    scaled = scale(gram)
    if matched is not None:
        return scaled.restrict(scaled.labels(matched))
    state = MatchState(scaled)
    state.peel(epsilon)
    return scaled.restrict(state.labels())
