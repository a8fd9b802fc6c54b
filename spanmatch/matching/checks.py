"""Checks of the arguments of all searches, and the warning of too few samples."""

import operator
import warnings
from collections.abc import Collection, Iterable

from spanmatch.errors import InputIndexError, InputTypeError, InputValueError
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Dead, Match, Neuron
from spanmatch.matching.scaled import independent, scale

LEAST_EPSILON = 0
EPSILON_LIMIT = 1
EPSILON_RANGE = f"at least {LEAST_EPSILON} and below {EPSILON_LIMIT}"
TOO_FEW_SAMPLES = (
    "with no more samples than neurons, any activations span nearly the whole space, so the answer is "
    "meaningless"
)


class TooFewSamplesWarning(UserWarning):
    """A side has at least as many neurons as there are samples, so that nearly everything matches.

    Once the effective rank of a side reaches the number of samples, it spans everything: the message names
    the ranks, and the sides for which that is so.
    """


def is_epsilon(value: float) -> bool:
    """Tell whether a number is an epsilon of the paper: `EPSILON_RANGE` says it in words."""
    return LEAST_EPSILON <= value < EPSILON_LIMIT


def check_epsilon(epsilon: float, *, closed: bool = False, argument: str = "epsilon") -> float:
    """Return `epsilon` as a float, or say why it is none; 1 is one where the interval is `closed`."""
    try:
        value = float(epsilon)
    except (TypeError, ValueError):
        raise InputTypeError(
            f"`{argument}` must be a number, got {epsilon!r}; the paper uses 0.15 to 0.5"
        ) from None
    if not (is_epsilon(value) or (closed and value == EPSILON_LIMIT)):
        allowed = EPSILON_RANGE.replace("below", "at most") if closed else EPSILON_RANGE
        raise InputValueError(
            f"`{argument}` must be {allowed} (it bounds a relative residual), got {epsilon}; 0 asks for "
            "exact matches, the paper uses 0.15 to 0.5"
        )
    return value


def check_epsilons(epsilons: Collection[float]) -> list[float]:
    """Return epsilons as floats, or say why they are none."""
    if not isinstance(epsilons, Iterable):
        raise InputTypeError(f"`epsilons` must be several numbers, got {epsilons!r}; write [{epsilons!r}]")
    return [check_epsilon(epsilon, argument="epsilons") for epsilon in epsilons]


def check_gram(gram: GramMatrix) -> None:
    """Say what `gram` should be, if it is none."""
    if not isinstance(gram, GramMatrix):
        raise InputTypeError(
            f"`gram` must be a GramMatrix, got {type(gram).__name__}; make one of two arrays with "
            "GramMatrix.from_activations(x, y)"
        )


def check_match(match: Match) -> None:
    """Say what `match` should be, if it is none."""
    if not isinstance(match, Match):
        raise InputTypeError(f"`match` must be a Match, got {type(match).__name__}; write Match([0, 2], [1])")


def check_dead(dead: Dead) -> None:
    """Say why `dead` names no convention, if it does not."""
    if dead not in ("exclude", "match"):
        raise InputValueError(
            f'`dead` must be "exclude" or "match", got {dead!r}; "exclude" is the authors\' convention'
        )


def check_neuron(gram: GramMatrix, neuron: Neuron, name: str = "neuron") -> Neuron:
    """Return `neuron` with a plain integer index, or say why it names no neuron of `gram`."""
    check_gram(gram)
    try:
        side, index = neuron
        index = operator.index(index)
    except (TypeError, ValueError):
        raise InputTypeError(
            f'`{name}` must be a pair of a side and an index, got {neuron!r}; write ("x", 3) or ("y", 0)'
        ) from None
    if side not in ("x", "y"):
        raise InputValueError(
            f'`{name}` must name the side "x" or "y", got {side!r}; write ("x", 3) or ("y", 0)'
        )
    count = gram.n_x if side == "x" else gram.n_y
    if not 0 <= index < count:
        raise InputIndexError(
            f"`{name}` must have an index from 0 to {count - 1} on side {side!r}, got {index}; count from 0"
        )
    return side, index


def are_too_few(samples: int, neurons: int) -> bool:
    """Tell whether samples, without the means if they are subtracted, are too few for a side's neurons."""
    return samples <= neurons


def warn_if_too_few_samples(gram: GramMatrix) -> None:
    """Warn the caller of the public function that calls this when the answer cannot mean anything."""
    check_gram(gram)
    widest = max(gram.n_x, gram.n_y)
    if not are_too_few(gram.degrees_of_freedom, widest):  # and so, all the more, for the rank of either side
        return
    subtracted = gram.n_samples - gram.degrees_of_freedom
    less = f" ({gram.degrees_of_freedom} without their means)" if subtracted else ""
    warnings.warn(
        f"{gram.n_samples} samples{less} for {gram.n_x} + {gram.n_y} neurons{_ranks(gram)}: "
        f"{TOO_FEW_SAMPLES}; use at least {widest + 1 + subtracted} samples, and many times more to learn "
        "something",
        TooFewSamplesWarning,
        stacklevel=3,
    )


def _ranks(gram: GramMatrix) -> str:
    """Say how much of the space of all samples each side spans."""
    if gram.n_samples == 0:
        return ""
    scaled = scale(gram)
    sides = {"x": slice(0, scaled.n_x), "y": slice(scaled.n_x, None)}
    ranks = {side: independent(scaled.gram[part, part])[0].size for side, part in sides.items()}
    full = [f"`{side}`" for side, rank in ranks.items() if rank >= gram.degrees_of_freedom]
    says = f"{' and '.join(full)} can match any neuron at all" if full else "below the number of samples"
    return f" of effective rank {ranks['x']} + {ranks['y']}, {says}"
