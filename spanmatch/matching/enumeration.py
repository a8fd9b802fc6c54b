"""All minimal matches of one neuron."""

import math
import operator
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.checks import check_dead, check_epsilon, check_neuron, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.hitting import UnsettledSets
from spanmatch.matching.match import Dead, Indices, Match, Neuron, alone
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.scaled import scale
from spanmatch.matching.searches import Searches
from spanmatch.matching.state import MatchState


@dataclass(frozen=True)
class MinimalMatches:
    """Minimal matches of one neuron, and whether they are all.

    Iterates over its matches; its length is their number, so it is false when there is none.

    Attributes
    ----------
    matches : tuple of Match
        Distinct minimal matches: smallest first, then by their x and y indices.
    complete : bool
        Whether there is no other. When false, another is known to exist or the time was over before it was
        known that none does.
    """

    matches: tuple[Match, ...]
    complete: bool

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)


def minimal_matches(
    gram: GramMatrix,
    neuron: Neuron,
    *,
    epsilon: float,
    limit: int = 100,
    seconds: float | None = None,
    dead: Dead = "exclude",
) -> MinimalMatches:
    """Find all minimal matches of a neuron: the ε-matches around it that contain no smaller one (Def. 9).

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    neuron : tuple
        ``("x", i)`` or ``("y", j)``.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1).
    limit : int
        Stop when there is a match beyond so many.
    seconds : float, optional
        Start no further step after so long; a step, the search for one minimal match, may take longer. The
        first step is always made. No bound when left out.
    dead : {"exclude", "match"}
        Whether dead neurons are in no match, the authors' convention, or in every maximum match, as Def. 1
        says by the letter. A dead neuron's one minimal match is then itself alone. No other
        neuron's minimal match holds it.

    Returns
    -------
    MinimalMatches
        The matches found, and whether they are all. None, completely, when `neuron` is not in the maximum
        match. Which ones are found within `limit` is deterministic; within `seconds` it is not.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1), `limit` is below 1, `seconds` is negative or no number, the
        neuron's side is neither "x" nor "y", `dead` is none of the two words, or `gram` has seen no sample.
    IndexError
        When `neuron` does not exist.
    TypeError
        When `neuron` is not a pair of a side and an index, or `limit` is not an integer.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    See Also
    --------
    minimal_match : One of them, without the proof that there is no other.

    Notes
    -----
    The answer of Alg. 3 of Wang et al. 2018 (arXiv 1810.11750), by hitting-set dualisation, as for minimal
    unsatisfiable subsets: take a smallest set of neurons that hits every minimal match found so far and
    remove it from the maximum match. Either `neuron` survives, and a new minimal match lies in what is left;
    or it does not, and the set removed is a minimal correction: whatever contains it is settled for good.
    So a complete answer of m matches with c minimal corrections takes m searches for one minimal match and c
    maximum matches, O(n²) for each neuron that leaves; none is made twice. c can grow exponentially with m,
    and so can the time to find the next set to try.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, minimal_matches
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b], axis=1), np.stack([a, 2 * a, d], axis=1))
    >>> found = minimal_matches(gram, ("x", 0), epsilon=0.3)
    >>> found.matches, found.complete
    ((Match(x=[0], y=[0]), Match(x=[0], y=[1])), True)
    """
    bound = check_epsilon(epsilon)
    wanted = check_neuron(gram, neuron)
    most, deadline = _check_limit(limit), _deadline(seconds)
    check_dead(dead)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    state = MatchState(scale(gram))
    label = state.scaled.label(wanted)
    if label is None and dead == "match":
        return MinimalMatches((alone(wanted),), complete=True)
    state.peel(bound)
    if label is None or not state.alive[label]:
        return MinimalMatches((), complete=True)
    labels = state.labels()
    search = _Search(MatchState(state.scaled.restrict(labels)), int(np.searchsorted(labels, label)), bound)
    complete = search.run(most, deadline)
    matches = [search.match(core) for core in search.unsettled.cores]
    matches.sort(key=lambda match: (match.size, match.x.tolist(), match.y.tolist()))
    return MinimalMatches(tuple(matches), complete)


class _Search:
    """Enumeration of the minimal matches of one label inside an ε-match; sets of labels are bits."""

    def __init__(self, state: MatchState, keep: int, epsilon: float) -> None:
        self._state = state
        self._keep = keep
        self._epsilon = epsilon
        self.unsettled = UnsettledSets()

    def run(self, limit: int, deadline: float) -> bool:
        """Enumerate; tell whether that came to its end."""
        while not self.unsettled.exhausted:
            if self.unsettled.cores and time.monotonic() >= deadline:
                return False
            removed = self.unsettled.step()
            if removed is None:
                continue
            rest = self._maximum_without(removed)
            if rest is None:
                self.unsettled.corrections.append(removed)
            elif len(self.unsettled.cores) == limit:
                return False
            else:
                found, _ = Searches(self._state.scaled, self._epsilon).around(self._keep, rest)
                self.unsettled.cores.append(self._bits(found))
        return True

    def match(self, core: int) -> Match:
        """Return the match that these bits stand for."""
        return self._state.scaled.match(np.append(_labels(core), self._keep))

    def _bits(self, labels: Indices) -> int:
        """Return labels as bits, without the one that is in all of them."""
        return sum(1 << label for label in labels.tolist() if label != self._keep)

    def _maximum_without(self, removed: int) -> Indices | None:
        """Return the maximum match without some labels, or None when `keep` is not in it."""
        state = self._state.copy()
        state.remove(_labels(removed))
        needed = np.arange(state.scaled.size) == self._keep
        return state.labels() if state.settle(self._epsilon, needed) else None


def _labels(bits: int) -> Indices:
    return np.array([place for place, bit in enumerate(reversed(f"{bits:b}")) if bit == "1"], dtype=np.int64)


def _check_limit(limit: int) -> int:
    try:
        count = operator.index(limit)
    except TypeError:
        raise InputTypeError(
            f"`limit` must be an integer, got {limit!r}; pass how many matches to list"
        ) from None
    if count < 1:
        raise InputValueError(f"`limit` must be at least 1, got {count}; pass how many matches to list")
    return count


def _deadline(seconds: float | None) -> float:
    if seconds is None:
        return math.inf
    if math.isnan(seconds) or seconds < 0:
        raise InputValueError(f"`seconds` must be at least 0, got {seconds}; leave it out for no bound")
    return time.monotonic() + seconds
