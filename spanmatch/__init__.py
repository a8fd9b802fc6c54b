"""How much of each layer two neural networks have in common: matching of spans of neurons' activations.

This package says what is computed; where it is kept and in which order it runs is told elsewhere.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spanmatch.errors import InputIndexError, InputTypeError, InputValueError, SpanmatchError
    from spanmatch.matching import (
        GramMatrix,
        Match,
        MatchProfile,
        MinimalMatches,
        OffsetWarning,
        SimpleMatch,
        TooFewSamplesWarning,
        decompose,
        is_match,
        match_profile,
        maximum_match,
        minimal_match,
        minimal_matches,
        minimum_match,
        offset_neurons,
        relative_residuals,
        residual_bounds,
        simple_matches,
    )

__all__ = [
    "GramMatrix",
    "InputIndexError",
    "InputTypeError",
    "InputValueError",
    "Match",
    "MatchProfile",
    "MinimalMatches",
    "OffsetWarning",
    "SimpleMatch",
    "SpanmatchError",
    "TooFewSamplesWarning",
    "decompose",
    "is_match",
    "match_profile",
    "maximum_match",
    "minimal_match",
    "minimal_matches",
    "minimum_match",
    "offset_neurons",
    "relative_residuals",
    "residual_bounds",
    "simple_matches",
]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for (PEP 562): an error class alone loads no SciPy."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(
        import_module("spanmatch.errors" if name.endswith("Error") else "spanmatch.matching"), name
    )


def __dir__() -> list[str]:
    return __all__
