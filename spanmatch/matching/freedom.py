"""How free a cover by simple matches is: covers found in several random orders, against each other."""

import statistics
from dataclasses import dataclass

import numpy as np

from spanmatch.errors import InputValueError
from spanmatch.matching.checks import check_epsilon, warn_if_too_few_samples
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Indices
from spanmatch.matching.offsets import warn_of_offsets
from spanmatch.matching.parts import whole_number
from spanmatch.matching.profile import MatchProfile, check_profile, inside_maximum
from spanmatch.matching.searches import Searches
from spanmatch.matching.simple import cover

# Philox takes keys of two numbers of 64 bits: the seed, and the number of the order.
SEED_LIMIT = 2**64


@dataclass(frozen=True)
class CoverFreedom:
    """What covers of one maximum match by simple matches, found in several random orders, have in common.

    Attributes
    ----------
    epsilon : float
        Largest relative residual of a matched neuron.
    seed : int
        What the orders were drawn from.
    matched : int
        Neurons of the maximum match, which each cover is a union to.
    sizes : tuple of tuple of int
        For each order the sizes of its simple matches, ascending.
    distinct : int
        Different simple matches found in all orders together: there are at least so many.
    recurring : int
        Those of them that were found in every order.
    """

    epsilon: float
    seed: int
    matched: int
    sizes: tuple[tuple[int, ...], ...]
    distinct: int
    recurring: int

    @property
    def orders(self) -> int:
        """Number of orders, a cover each."""
        return len(self.sizes)

    @property
    def counts(self) -> tuple[int, int]:
        """Fewest and most simple matches in a cover."""
        numbers = [len(sizes) for sizes in self.sizes]
        return min(numbers), max(numbers)

    @property
    def median_size(self) -> tuple[float, float] | None:
        """Least and greatest, over the covers, median size of a simple match; None where nothing matches."""
        medians = [float(statistics.median(sizes)) for sizes in self.sizes if sizes]
        return (min(medians), max(medians)) if medians else None

    @property
    def largest_size(self) -> tuple[int, int] | None:
        """Least and greatest size of a cover's largest simple match; None where nothing matches."""
        largest = [sizes[-1] for sizes in self.sizes if sizes]
        return (min(largest), max(largest)) if largest else None

    @property
    def recurring_share(self) -> float | None:
        """Share of all different simple matches that are in every cover; None where nothing matches."""
        return self.recurring / self.distinct if self.distinct else None


def cover_freedom(
    gram: GramMatrix, *, epsilon: float, profile: MatchProfile | None = None, orders: int = 5, seed: int = 0
) -> CoverFreedom:
    """Cover the maximum match by simple matches in several random orders, and compare what is found.

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    epsilon : float
        Largest relative residual of a matched neuron, in [0, 1).
    profile : MatchProfile, optional
        The profile of this very `gram`, when it is at hand: saves the search for the maximum match.
    orders : int
        How many orders to draw, at least 1.
    seed : int
        What to draw them from, at least 0 and below 2⁶⁴. Equal seeds give equal answers, however the neurons
        are numbered.

    Returns
    -------
    CoverFreedom
        Numbers, sizes and recurrence of the simple matches.

    Raises
    ------
    TypeError
        When `orders` or `seed` is not whole.
    ValueError
        When `epsilon` is outside [0, 1), `orders` or `seed` is out of its range, `gram` has seen no sample,
        or `profile` is of other sides.

    Warns
    -----
    TooFewSamplesWarning
        When there are no more samples than neurons on a side.
    OffsetWarning
        When a tenth of a side's neurons lie within `epsilon`, and 0.3, of their own mean.

    See Also
    --------
    essential : What every cover has in common, without drawing.

    Notes
    -----
    An order says which neurons are served first, and which are tried first for removal. Each search still
    starts from a match grown around its neuron as in `simple_matches`, which the data alone decide: among all
    covers that there are, the differences are larger still. Costs `orders` times what `simple_matches` costs.

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, cover_freedom
    >>> a, b, c, d = np.eye(8)[:4]
    >>> gram = GramMatrix.from_activations(np.stack([a, b, c], axis=1), np.stack([a + b, a - b, d], axis=1))
    >>> freedom = cover_freedom(gram, epsilon=0.3)
    >>> freedom.sizes, freedom.recurring_share
    (((4,), (4,), (4,), (4,), (4,)), 1.0)
    """
    bound = check_epsilon(epsilon)
    number = whole_number("orders", orders, "pass how many covers to find")
    if number < 1:
        raise InputValueError(f"`orders` must be at least 1, got {number}; pass how many covers to find")
    drawn_from = whole_number("seed", seed, "pass any such number, such as 0")
    if not 0 <= drawn_from < SEED_LIMIT:
        raise InputValueError(f"`seed` must be at least 0 and below 2**64, got {drawn_from}; 0 will do")
    check_profile(gram, profile)
    warn_if_too_few_samples(gram)
    warn_of_offsets(gram, bound)
    inside = inside_maximum(gram, bound, profile)
    searches = Searches(inside, bound)
    covers = [
        {simple.match for simple in cover(searches, _order(inside.size, drawn_from, place))}
        for place in range(number)
    ]
    return CoverFreedom(
        epsilon=bound,
        seed=drawn_from,
        matched=inside.size,
        sizes=tuple(tuple(sorted(match.size for match in found)) for found in covers),
        distinct=len(set.union(*covers)),
        recurring=len(set.intersection(*covers)),
    )


def _order(size: int, seed: int, number: int) -> Indices:
    """Draw an order of labels, from what NumPy promises to keep: a generator's raw numbers."""
    raw = np.random.Philox(key=np.array([seed, number], dtype=np.uint64)).random_raw(size)
    return np.argsort(raw, kind="stable")
