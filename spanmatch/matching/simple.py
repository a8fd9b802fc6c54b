"""Simple matches that together cover the maximum match.

Apart from the search for one minimal match, of which this makes many.
"""

import numpy as np

from spanmatch.matching.checks import check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.grow import grow
from spanmatch.matching.match import Indices, Match, SimpleMatch
from spanmatch.matching.minimal import shrink
from spanmatch.matching.profile import MatchProfile
from spanmatch.matching.scaled import ScaledGram, scale
from spanmatch.matching.state import MatchState


def simple_matches(
    gram: GramMatrix, *, epsilon: float, profile: MatchProfile | None = None
) -> tuple[SimpleMatch, ...]:
    """Find distinct simple matches whose union is the maximum match (Def. 4, Thm. 5, Thm. 10).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1).
    profile : MatchProfile, optional
        The profile of this very `gram`, when it is at hand: saves the search for the maximum match.

    Returns
    -------
    tuple of SimpleMatch
        Distinct minimal matches, at least one for each neuron of the maximum match, each with the first neuron (x
        ascending, then y ascending) for which it was found. For epsilon > 0 there may be others.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1), `gram` has seen no sample, or `profile` is of other sides.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.

    Notes
    -----
    Alg. 2 of Wang et al. 2018 (arXiv 1810.11750) for every neuron, started near its end: inside the smallest
    match found before that contains the neuron, or else inside a match grown around it.
    """
    bound = check_epsilon(epsilon)
    if profile is not None and (profile.x.size, profile.y.size) != (gram.n_x, gram.n_y):
        raise ValueError(
            f"`profile` must be that of `gram`, {gram.n_x} + {gram.n_y} neurons, got "
            f"{profile.x.size} + {profile.y.size}; leave it out to have it computed"
        )
    warn_if_too_few_samples(gram)
    scaled = scale(gram)
    if profile is None:
        state = MatchState(scaled)
        state.settle(bound)
        labels = state.labels()
    else:
        labels = scaled.labels(profile.maximum_match(bound))
    return _cover(scaled.restrict(labels), bound)


def _cover(scaled: ScaledGram, epsilon: float) -> tuple[SimpleMatch, ...]:
    found: dict[Match, SimpleMatch] = {}
    smallest: dict[int, Indices] = {}
    for label in range(scaled.size):
        labels = _minimal_around(scaled, label, smallest.get(label), epsilon)
        match = scaled.match(labels)
        found.setdefault(match, SimpleMatch(scaled.neuron(label), match))
        for member in labels.tolist():
            if member not in smallest or labels.size < smallest[member].size:
                smallest[member] = labels
    return tuple(found.values())


def _minimal_around(scaled: ScaledGram, label: int, inside: Indices | None, epsilon: float) -> Indices:
    needed = np.array(grow(scaled, label, epsilon)) if inside is None else inside
    labels = np.sort(needed)
    last_needed_first = np.searchsorted(labels, needed)[::-1].tolist()
    keep = int(np.searchsorted(labels, label))
    state = shrink(MatchState(scaled.restrict(labels)), keep, last_needed_first, epsilon)
    return labels[state.labels()]
