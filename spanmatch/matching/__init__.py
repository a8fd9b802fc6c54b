"""The paper's mathematics on arrays: Gram matrices, residuals, profiles, matches. NumPy and SciPy only."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.matching.checks import TooFewSamplesWarning as TooFewSamplesWarning
    from spanmatch.matching.enumeration import (
        MinimalMatches as MinimalMatches,
        minimal_matches as minimal_matches,
    )
    from spanmatch.matching.essential_graph import (
        EssentialGraph as EssentialGraph,
        essential as essential,
    )
    from spanmatch.matching.freedom import CoverFreedom as CoverFreedom, cover_freedom as cover_freedom
    from spanmatch.matching.gram import GramMatrix as GramMatrix
    from spanmatch.matching.match import Match as Match, SimpleMatch as SimpleMatch
    from spanmatch.matching.maximum import maximum_match as maximum_match
    from spanmatch.matching.minimal import minimal_match as minimal_match
    from spanmatch.matching.minimum import minimum_match as minimum_match
    from spanmatch.matching.offsets import OffsetWarning as OffsetWarning, offset_neurons as offset_neurons
    from spanmatch.matching.profile import MatchProfile as MatchProfile, match_profile as match_profile
    from spanmatch.matching.residuals import (
        is_match as is_match,
        relative_residuals as relative_residuals,
        residual_bounds as residual_bounds,
    )
    from spanmatch.matching.row_moments import RowMoments as RowMoments
    from spanmatch.matching.simple import decompose as decompose, simple_matches as simple_matches
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.matching.checks": "TooFewSamplesWarning",
            "spanmatch.matching.enumeration": "MinimalMatches minimal_matches",
            "spanmatch.matching.essential_graph": "EssentialGraph essential",
            "spanmatch.matching.freedom": "CoverFreedom cover_freedom",
            "spanmatch.matching.gram": "GramMatrix",
            "spanmatch.matching.match": "Match SimpleMatch",
            "spanmatch.matching.maximum": "maximum_match",
            "spanmatch.matching.minimal": "minimal_match",
            "spanmatch.matching.minimum": "minimum_match",
            "spanmatch.matching.offsets": "OffsetWarning offset_neurons",
            "spanmatch.matching.profile": "MatchProfile match_profile",
            "spanmatch.matching.residuals": "is_match relative_residuals residual_bounds",
            "spanmatch.matching.row_moments": "RowMoments",
            "spanmatch.matching.simple": "decompose simple_matches",
        },
    )
