"""The paper's mathematics on arrays: Gram matrices, residuals, profiles, maximum and simple matches.

Apart from everything that trains, stores or schedules: NumPy and SciPy only.
"""

from spanmatch.matching.checks import TooFewSamplesWarning
from spanmatch.matching.enumeration import MinimalMatches, minimal_matches
from spanmatch.matching.gram import GramMatrix
from spanmatch.matching.match import Match, SimpleMatch
from spanmatch.matching.maximum import maximum_match
from spanmatch.matching.minimal import minimal_match
from spanmatch.matching.minimum import minimum_match
from spanmatch.matching.offsets import OffsetWarning, offset_neurons
from spanmatch.matching.profile import MatchProfile, match_profile
from spanmatch.matching.residuals import is_match, relative_residuals, residual_bounds
from spanmatch.matching.simple import decompose, simple_matches

__all__ = [
    "GramMatrix",
    "Match",
    "MatchProfile",
    "MinimalMatches",
    "OffsetWarning",
    "SimpleMatch",
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
