"""Which sets of elements are not yet settled, given those known to suffice and those known to be missed.

Sets are bits of integers; nothing here knows of neurons.
"""


class UnsettledSets:
    """Search for sets to remove whose effect does not follow from what is known.

    For a monotone predicate on subsets of n elements two kinds of facts settle sets of *removed* elements:
    a **core** suffices for the predicate, so nothing is lost unless the removed set hits the core; a
    **correction** is a removed set that does lose it, and so does everything larger. A removed set is
    unsettled when it hits every core and contains no correction.

    The search walks the binary tree "element removed / element kept" depth first, forced choices first
    (a correction of which all but one element is removed, a core of which all but one is kept). Facts only
    ever settle more, so a branch once left is never entered again: one walk serves the whole enumeration.

    Every answer to `next_removed` that is followed by a fact makes that very set settled. A step costs
    O(cores + corrections) operations on n-bit integers. To decide whether an unsettled set is left is
    monotone duality, for which no polynomial algorithm is known: in the worst case steps between two answers
    are exponentially many; forced choices keep them few where cores overlap little.
    """

    def __init__(self) -> None:
        self.cores: list[int] = []
        self.corrections: list[int] = []
        self._pending = [(0, 0)]  # (removed, kept), the next one last

    @property
    def exhausted(self) -> bool:
        """Whether every set is settled, as far as the walk has shown."""
        return not self._pending

    def step(self) -> int | None:
        """Walk on by one node; return an unsettled removed set, minimal among those that hit every core.

        Returns
        -------
        int or None
            The set, as bits; record a core that it misses, or itself as a correction, before the next step.
            None when the node led to none.
        """
        node = self._forced(*self._pending.pop())
        if node is None:
            return None
        removed, kept = node
        missed = [core & ~kept for core in self.cores if not core & removed]
        if not missed:
            self._pending.append(node)
            return self._reduced(removed)
        shortest = min(missed, key=lambda core: (core.bit_count(), core))
        element = max(_elements(shortest), key=lambda bit: (sum(bool(core & bit) for core in missed), -bit))
        self._pending.append((removed, kept | element))
        self._pending.append((removed | element, kept))
        return None

    def _forced(self, removed: int, kept: int) -> tuple[int, int] | None:
        """Return a node with all forced choices made, or None when nothing unsettled lies below it."""
        before = None
        while before != (removed, kept):
            before = removed, kept
            for correction in self.corrections:
                left = correction & ~removed
                if not left:
                    return None
                if not left & (left - 1):
                    kept |= left
            for core in self.cores:
                if core & removed:
                    continue
                free = core & ~kept
                if not free:
                    return None
                if not free & (free - 1):
                    removed |= free
        return removed, kept

    def _reduced(self, removed: int) -> int:
        """Drop from a set that hits every core, highest first, what no core needs."""
        for element in reversed(list(_elements(removed))):
            smaller = removed & ~element
            if all(core & smaller for core in self.cores):
                removed = smaller
        return removed


def _elements(bits: int) -> list[int]:
    """Return the single bits of a set, lowest first."""
    elements = []
    while bits:
        lowest = bits & -bits
        elements.append(lowest)
        bits ^= lowest
    return elements
