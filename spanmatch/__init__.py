"""How much of each layer two neural networks have in common: matching of spans of neurons' activations.

This package says what is computed; where it is kept and in which order it runs is told elsewhere.
"""

from spanmatch.matching import (
    GramMatrix,
    Match,
    MatchProfile,
    MinimalMatches,
    SimpleMatch,
    TooFewSamplesWarning,
    decompose,
    is_match,
    match_profile,
    maximum_match,
    minimal_match,
    minimal_matches,
    minimum_match,
    relative_residuals,
    residual_bounds,
    simple_matches,
)

__all__ = [
    "GramMatrix",
    "Match",
    "MatchProfile",
    "MinimalMatches",
    "SimpleMatch",
    "TooFewSamplesWarning",
    "decompose",
    "is_match",
    "match_profile",
    "maximum_match",
    "minimal_match",
    "minimal_matches",
    "minimum_match",
    "relative_residuals",
    "residual_bounds",
    "simple_matches",
]
