"""Simple matches that together cover the maximum match, or any given match."""

from spanmatch.errors import InputValueError
from spanmatch.matching.checks import check_dead, check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Dead, Indices, Match, SimpleMatch, alone
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.profile import MatchProfile, check_profile, inside_maximum
from spanmatch.matching.residuals import is_match
from spanmatch.matching.scaled import scale
from spanmatch.matching.searches import Searches


def simple_matches(
    gram: GramMatrix, *, epsilon: float, profile: MatchProfile | None = None, dead: Dead = "exclude"
) -> tuple[SimpleMatch, ...]:
    """Find distinct simple matches whose union is the maximum match (Def. 4, Thm. 5, Thm. 10).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1).
    profile : MatchProfile, optional
        The profile of this very `gram`, when it is at hand: saves the search for the maximum match. Its
        convention for dead neurons does not matter.
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter. Each is then a simple match by itself: what spans nothing lies in the span of
        nothing.

    Returns
    -------
    tuple of SimpleMatch
        Distinct minimal matches, at least one for each neuron of the maximum match, each with a neuron that
        it is minimal for, by these neurons (x ascending, then y ascending). Neurons are served in an order
        that the activations give: renumbering them renumbers the answer. It is one cover out of many:
        `cover_freedom` says how far others differ, `essential` what they have in common.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1), `gram` has seen no sample, `profile` is of other sides, or `dead` is
        none of the two words.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    Notes
    -----
    Alg. 2 of Wang et al. 2018 (arXiv 1810.11750), started near its end, from a match grown around the neuron.
    Let M be minimal for v and R the maximum match inside M without v. Every match that is smaller than M and
    inside it lacks v, so it is inside R: M is minimal for all its neurons outside R, and those need no search
    of their own; for a neuron in R the search starts inside R.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, simple_matches
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> for simple in simple_matches(gram, epsilon=0.3):
    ...     print(simple.neuron, simple.match)
    ('x', 0) Match(x=[0, 1], y=[0, 1])
    """
    bound = check_epsilon(epsilon)
    check_dead(dead)
    check_profile(gram, profile)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    found = cover(Searches(inside_maximum(gram, bound, profile), bound))
    return found if dead == "exclude" else _with_dead(found, gram.dead)


def decompose(
    gram: GramMatrix, match: Match, *, epsilon: float, dead: Dead = "exclude"
) -> tuple[SimpleMatch, ...]:
    """Find distinct simple matches inside a given ε-match whose union it is (Thm. 5).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    match : Match
        An ε-match. The empty one is the union of none.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1).
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter. Those in `match` are then a simple match each.

    Returns
    -------
    tuple of SimpleMatch
        Distinct minimal matches inside `match`, at least one for each of its neurons, each with a neuron that
        it is minimal for, in the order of these neurons. ``decompose(gram,
        maximum_match(gram, epsilon=epsilon), epsilon=epsilon)`` is ``simple_matches(gram, epsilon=epsilon)``.

    Raises
    ------
    ValueError
        When `match` is no ε-match (by `is_match`), `epsilon` is outside [0, 1), `dead` is none of the two
        words, or `gram` has seen no sample.
    IndexError
        When `match` holds a neuron that `gram` does not have.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    Notes
    -----
    As `simple_matches`, inside `match`: a smaller match inside it is a match in the whole, so what is minimal
    here is minimal there.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, Match, decompose
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> [simple.match for simple in decompose(gram, Match([0, 1], [0, 1]), epsilon=0.3)]
    [Match(x=[0, 1], y=[0, 1])]
    """
    bound = check_epsilon(epsilon)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    if not is_match(gram, match, epsilon=bound, dead=dead):
        raise InputValueError(
            f"`match` must be an ε-match at `epsilon` {epsilon} to have a decomposition, got {match!r} with "
            "a neuron that is farther from the other side's span, or dead; pass maximum_match(...) or one "
            "that is_match accepts"
        )
    scaled = scale(gram)
    found = cover(Searches(scaled.restrict(scaled.labels(match)), bound))
    return _with_dead(found, match & gram.dead)


def _with_dead(found: tuple[SimpleMatch, ...], dead: Match) -> tuple[SimpleMatch, ...]:
    singles = tuple(SimpleMatch(neuron, alone(neuron)) for neuron in dead)
    return tuple(sorted((*found, *singles), key=lambda simple: simple.neuron))


def cover(searches: Searches, order: Indices | None = None) -> tuple[SimpleMatch, ...]:
    """Find simple matches that together are a given ε-match.

    Parameters
    ----------
    searches : Searches
        Inside the ε-match as a whole.
    order : ndarray of int, optional
        All labels, in the order in which they are served and tried for removal. When left out, they are
        served ascending, and tried as they were needed around the one that is served.

    Returns
    -------
    tuple of SimpleMatch
        By their neurons, x ascending and then y ascending. Each has the last label of x, or else of y, that
        it is minimal for and that no match before was: the neuron that correlates most with the others.
    """
    scaled = searches.scaled
    found: dict[Match, SimpleMatch] = {}
    inside: dict[int, Indices] = {}  # the smallest match known to contain a label that is not yet served
    served: set[int] = set()
    for label in range(scaled.size) if order is None else order.tolist():
        if label in served:
            continue
        labels, rest = searches.around(label, inside.get(label), order)
        match = scaled.match(labels)
        minimal_for = set(labels.tolist()).difference(rest.tolist(), served)
        served |= minimal_for
        foremost = max(minimal_for, key=lambda member: (member < scaled.n_x, member))
        found.setdefault(match, SimpleMatch(scaled.neuron(foremost), match))
        for member in rest.tolist():
            if member not in inside or rest.size < inside[member].size:
                inside[member] = rest
    return tuple(sorted(found.values(), key=lambda simple: simple.neuron))
