"""Neurons that hardly vary around their mean: the constant vector alone matches them."""

import warnings

import numpy as np

from spanmatch.matching.certificate import SMALLEST_EPSILON
from spanmatch.matching.checks import check_epsilon, check_gram
from spanmatch.matching.dead import is_live
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Match

# Part of a side's live neurons from which on a similarity is no longer that of what the neurons respond to.
TELLING = 0.1
# The largest epsilon that the paper uses, for what has none of its own, such as a profile.
NEAR = 0.5


class OffsetWarning(UserWarning):
    """At least a tenth of a side's live neurons lie close to their own mean, and within epsilon of it.

    Nearly constant neurons match each other, however independently they vary: two independent layers with a
    large offset have a similarity of 1. The message names the numbers of such neurons.
    """


def offset_neurons(gram: GramMatrix, *, epsilon: float = NEAR) -> Match:
    """Return the live neurons that lie within `epsilon` of their own mean.

    The distance is relative, as a residual is: the standard deviation over the root mean square. Where the
    other side comes as close to the constant vector, these neurons match by their means alone.

    Parameters
    ----------
    gram : GramMatrix
        Inner products of the activations of both layers.
    epsilon : float, optional
        Relative distance, in [0, 1); the largest that the paper uses where it is left out.

    Returns
    -------
    Match
        The neurons of either side, dead ones left out.

    Raises
    ------
    ValueError
        When `epsilon` is outside [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from spanmatch import GramMatrix, offset_neurons
    >>> x = np.random.default_rng(0).standard_normal((500, 3)) + [0, 5, 50]
    >>> offset_neurons(GramMatrix.from_activations(x, x[:, :1]), epsilon=0.3)
    Match(x=[1, 2], y=[])
    """
    check_gram(gram)
    epsilon = check_epsilon(epsilon)
    norms = gram.norms
    live = is_live(norms)
    means = np.divide(gram.sums, norms, where=live, out=np.zeros_like(norms))
    bound = max(epsilon, SMALLEST_EPSILON)
    near = live & (1 - means**2 / max(gram.n_samples, 1) <= bound**2)
    return Match(np.flatnonzero(near[: gram.n_x]), np.flatnonzero(near[gram.n_x :]))


def warn_of_offsets(gram: GramMatrix, epsilon: float = NEAR) -> None:
    """Warn the caller of the public function that calls this when means decide the answer."""
    near = offset_neurons(gram, epsilon=epsilon)
    live_x, live_y = gram.n_x - gram.dead_x.size, gram.n_y - gram.dead_y.size
    if not (is_telling(near.x.size, live_x) or is_telling(near.y.size, live_y)):
        return
    warnings.warn(
        f"{near.x.size} of {gram.n_x} `x` and {near.y.size} of {gram.n_y} `y` neurons lie within "
        f"{epsilon:g} of their own mean: they match by it alone, whatever they respond to; "
        "subtract each neuron's mean over the samples (`gram.centred`) and compare again, or use a smaller "
        "epsilon",
        OffsetWarning,
        stacklevel=3,
    )


def is_telling(near: int, live: int) -> bool:
    """Tell whether so many neurons of a side, of so many that are not dead, bias a similarity."""
    return near > 0 and near >= TELLING * live
