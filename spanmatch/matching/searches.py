"""Searches for minimal matches inside one ε-match, each from a small match grown around its neuron."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from spanmatch.matching.grow import grow
from spanmatch.matching.match import Indices
from spanmatch.matching.minimal import shrink
from spanmatch.matching.scaled import ScaledGram
from spanmatch.matching.state import MatchState
from spanmatch.matching.tableau import Tableau, Without

_Found: TypeAlias = tuple[Indices, Indices]


class Searches:
    """Searches for minimal matches inside one ε-match, which remember what further ones need again.

    Parameters
    ----------
    scaled : ScaledGram
        The ε-match as a whole.
    epsilon : float
        Largest relative residual that may stay.
    """

    def __init__(self, scaled: ScaledGram, epsilon: float) -> None:
        self.scaled, self.epsilon = scaled, epsilon
        self._grown: dict[tuple[int, bytes | None], Indices] = {}
        self._found: dict[tuple[int, bytes | None], _Found] = {}  # whatever is tried first

    def around(self, label: int, inside: Indices | None, order: Indices | None = None) -> _Found:
        """Find one minimal match of a neuron, starting from a small match grown around it.

        Parameters
        ----------
        label : int
            The neuron.
        inside : ndarray of int or None
            Labels of an ε-match that contains `label`, ascending: the search stays inside it. None for all.
        order : ndarray of int, optional
            All labels, in the order in which they are tried for removal; as they were needed when left out.

        Returns
        -------
        minimal : ndarray of int
            Labels of the minimal match, ascending.
        rest : ndarray of int
            Those of the maximum match inside it without `label`, which every smaller match inside it is in.
        """
        key = label, None if inside is None else inside.tobytes()
        if key in self._found:
            return self._found[key]
        if key not in self._grown:
            self._grown[key] = self._grow(label, inside)
        grown = self._grown[key]
        labels = np.sort(grown)
        if labels.size == 2:  # one neuron of either side: neither matches without the other
            found = labels, labels[:0]
        else:
            places = labels.searchsorted(grown)
            tried = places if order is None else np.argsort(np.argsort(order)[labels])
            minimal, rest = self._shrink(labels, int(places[0]), tried.tolist())
            found = labels[minimal], labels[rest]
        if found[0].size == labels.size:
            self._found[key] = found
        return found

    def _grow(self, label: int, inside: Indices | None) -> Indices:
        if inside is None:
            return np.array(grow(self.scaled, label, self.epsilon))
        grown = grow(self.scaled.restrict(inside), int(inside.searchsorted(label)), self.epsilon)
        return inside[grown]

    def _shrink(self, labels: Indices, keep: int, order: list[int]) -> _Found:
        """Return places of the minimal match in `labels`, and of the maximum match without `keep` in it."""
        within = self.scaled.restrict(labels)
        tableau = Tableau(within.gram, within.n_x, self.epsilon)
        if tableau.independent:
            return _Shrinking(tableau, keep).minimal(order)
        state = shrink(MatchState(within), keep, order, self.epsilon)
        minimal = state.labels()
        state.remove(np.array([keep]))
        state.settle(self.epsilon)
        return minimal, state.labels()


class _Shrinking:
    """`shrink` where both sides are independent: who was seen to fall with a neuron falls with it ever after.

    Parameters
    ----------
    tableau : Tableau
        An ε-match; used up.
    keep : int
        Label of the neuron that stays.
    """

    def __init__(self, tableau: Tableau, keep: int) -> None:
        self._tableau, self._keep = tableau, keep
        self._falls = tableau.falls()
        self._needed = np.zeros(len(self._falls), dtype=np.bool_)
        self._needed[keep] = True
        self._note_needed()

    def minimal(self, order: Iterable[int]) -> _Found:
        """Return the minimal match, and the maximum match inside it without the neuron that it is of."""
        tableau, needed = self._tableau, self._needed
        stale = False
        for label in order:
            if needed[label] or not tableau.alive[label]:
                continue
            without = self._cascade(label)
            if without is not None:
                tableau.remove(without)
                stale = True
                continue
            needed[label] = True
            if stale:
                self._falls |= tableau.falls()
                stale = False
            self._note_needed()
        minimal = tableau.alive.nonzero()[0]
        needed[:] = False
        without = self._cascade(self._keep)
        assert without is not None, "nobody is needed"
        tableau.alive[without.leaving] = False
        return minimal, tableau.alive.nonzero()[0]

    def _note_needed(self) -> None:
        """Note without whom a needed one would be too far, and so on: smaller matches need them, too."""
        needed = self._needed
        count = 0
        while count < (count := int(np.count_nonzero(needed))):
            needed |= self._falls[:, needed].any(axis=1)

    def _cascade(self, label: int) -> Without | None:
        """Return what is left without a label and all that fall with it, None when a needed one would."""
        tableau, needed = self._tableau, self._needed
        fallen = np.zeros(needed.size, dtype=np.bool_)
        fallen[label] = True
        new = self._falls[label] & tableau.alive
        while True:
            while new.any():
                fallen |= new
                new = self._falls[new].any(axis=0) & tableau.alive & ~fallen
            without = tableau.without(fallen.nonzero()[0])
            new = tableau.too_far(without)
            if (new & needed).any():
                return None
            if not new.any():
                return without
