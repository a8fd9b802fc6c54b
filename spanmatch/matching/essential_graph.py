"""Which neurons another one cannot do without, whichever of its minimal matches is found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.matching.checks import check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Match, Neuron
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.profile import MatchProfile, check_profile, inside_maximum
from spanmatch.matching.state import MatchState


@dataclass(frozen=True, eq=False)
class EssentialGraph:
    """Which neurons fall from the maximum match as soon as one other is taken out.

    An edge leads from u to v ≠ u where u is *essential* for v: v is not in the maximum match of all neurons
    but u. That is so exactly when every minimal match of v holds u. Edges are transitive.

    Attributes
    ----------
    matched : Match
        The maximum match: the graph's vertices.
    falls : ndarray of bool, (matched.size, matched.size)
        Which vertex (column) falls with which (row), itself included; in the order of ``matched.neurons()``.
    epsilon : float
        Largest relative residual of a matched neuron.
    """

    matched: Match
    falls: NDArray[np.bool_]
    epsilon: float

    @property
    def n_edges(self) -> int:
        """Number of pairs of a neuron and another one that it is essential for."""
        return int(np.count_nonzero(self.falls)) - self.matched.size

    @property
    def edges(self) -> tuple[tuple[Neuron, Neuron], ...]:
        """Pairs (u, v) of different neurons, u essential for v; x before y, ascending."""
        neurons = self.matched.neurons()
        return tuple((neurons[u], neurons[v]) for u, v in np.argwhere(self.falls).tolist() if u != v)

    def essential_for(self, neuron: Neuron) -> Match:
        """Return the neurons that every minimal match of this one holds beside it.

        Raises
        ------
        ValueError
            When `neuron` is not in the maximum match: it has no minimal match.
        """
        place = self._place(neuron)
        return self._match(self.falls[:, place], place)

    def needed_by(self, neuron: Neuron) -> Match:
        """Return the neurons that this one is essential for: those that fall with it.

        Raises
        ------
        ValueError
            When `neuron` is not in the maximum match: nothing falls with it.
        """
        place = self._place(neuron)
        return self._match(self.falls[place], place)

    @property
    def components(self) -> tuple[Match, ...]:
        """Strongly connected components, the largest first: neurons of which none matches without the others.

        Each neuron of the maximum match is in one of them, often by itself.
        """
        places: dict[bytes, list[int]] = {}
        for place, row in enumerate(self.falls):
            places.setdefault(row.tobytes(), []).append(place)
        parts = sorted(places.values(), key=lambda part: (-len(part), part))
        return tuple(self._match(np.isin(np.arange(self.matched.size), part)) for part in parts)

    @property
    def skeleton(self) -> tuple[tuple[Neuron, Neuron], ...]:
        """Edges of which no one can be left out: u is essential for v exactly where they lead from u to v.

        A cycle through each component of several neurons, and between components, from first neuron to first
        neuron, what no path over a third makes superfluous. Costs O(n³) products for n components.
        """
        neurons, index = self.matched.neurons(), {neuron: i for i, neuron in enumerate(self.matched)}
        parts = sorted([index[neuron] for neuron in component] for component in self.components)
        cycles = [
            pair for part in parts if len(part) > 1 for pair in zip(part, [*part[1:], part[0]], strict=True)
        ]
        firsts = np.array([part[0] for part in parts], dtype=np.int64)
        falls = self.falls[np.ix_(firsts, firsts)] & ~np.eye(firsts.size, dtype=np.bool_)
        steps = falls.astype(np.float32)
        direct = falls & ~(steps @ steps > 0)
        between = [(int(firsts[u]), int(firsts[v])) for u, v in np.argwhere(direct)]
        return tuple((neurons[u], neurons[v]) for u, v in sorted([*cycles, *between]))

    def __repr__(self) -> str:
        several = [component.size for component in self.components if component.size > 1]
        return (
            f"EssentialGraph(epsilon={self.epsilon:g}, {self.matched.size} neurons, {self.n_edges} edges, "
            f"{len(several)} components of several neurons, the largest of {max(several, default=0)})"
        )

    def _place(self, neuron: Neuron) -> int:
        if neuron not in self.matched:
            raise InputValueError(
                f"`neuron` must be in the maximum match at epsilon {self.epsilon:g}, got {neuron!r}; "
                "ask for one of `matched`"
            )
        return self.matched.neurons().index(neuron)

    def _match(self, chosen: NDArray[np.bool_], but: int | None = None) -> Match:
        split = self.matched.x.size
        kept = chosen & (np.arange(chosen.size) != (-1 if but is None else but))
        return Match(self.matched.x[kept[:split]], self.matched.y[kept[split:]])


def essential(gram: GramMatrix, *, epsilon: float, profile: MatchProfile | None = None) -> EssentialGraph:
    """Find which neurons are in every minimal match of each neuron of the maximum match.

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
    EssentialGraph
        Edges from each neuron to those that fall from the maximum match with it. It does not depend on an
        order in which neurons are tried, unlike a cover by simple matches.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1), `gram` has seen no sample, or `profile` is of other sides.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    See Also
    --------
    simple_matches : One cover of the maximum match, out of many.
    minimum_match : The same neurons, without a search, for exact matches of independent neurons.

    Notes
    -----
    The neurons that v cannot do without are the intersection of its minimal matches; where these are one, as
    for exact matches of independent neurons (Thm. 8), they are that one. docs/theory.md has the proofs. One
    factorisation tells who falls at once with each neuron, at O(n²) for all n together; only where somebody
    does is a neuron taken out, and what falls with those that fall is not looked for again.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, essential
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> graph = essential(gram, epsilon=0.3)
    >>> graph.essential_for(("x", 0))
    Match(x=[1], y=[0, 1])
    """
    bound = check_epsilon(epsilon)
    check_profile(gram, profile)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    inside = inside_maximum(gram, bound, profile)
    order = np.argsort(inside.neurons)
    falls = _cascades(MatchState(inside), bound)[np.ix_(order, order)]
    falls.flags.writeable = False
    return EssentialGraph(inside.match(order), falls, bound)


def _cascades(state: MatchState, epsilon: float) -> NDArray[np.bool_]:
    """Tell of each label of an ε-match (row) which ones (columns) fall when it is taken out."""
    known, unclear = state.falls_with_each(state.labels(), epsilon)
    pending = np.flatnonzero(known.any(axis=1) | unclear)
    np.fill_diagonal(known, True)  # of those that are pending, the least that falls
    done = np.ones(len(known), dtype=np.bool_)
    done[pending] = False
    for label in pending.tolist():
        known[label] = _fallen(state, label, known, done, epsilon)
        done[label] = True
    return known


def _fallen(
    state: MatchState, label: int, known: NDArray[np.bool_], done: NDArray[np.bool_], epsilon: float
) -> NDArray[np.bool_]:
    """Tell who falls with a label, which includes whoever is known to fall with one of these."""
    fallen = known[label]
    while True:
        fallen = _closed(fallen, known)
        same = np.flatnonzero(fallen & done & known[:, label])
        if same.size:  # each falls with the other, and so whoever falls with either
            fallen_with: NDArray[np.bool_] = known[same[0]]
            return fallen_with
        residuals = state.residuals_without(np.flatnonzero(fallen))
        if residuals is None:
            rest = state.copy()
            rest.remove(np.flatnonzero(fallen))
            rest.settle(epsilon)
            return ~rest.alive
        too_far = residuals > epsilon
        if not too_far.any():
            return fallen
        fallen = fallen | too_far


def _closed(fallen: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add whoever is known to fall with those that fall, and so on."""
    seen, new = np.zeros_like(fallen), fallen
    while new.any():
        seen = seen | new
        new = known[new].any(axis=0) & ~seen
    return seen
