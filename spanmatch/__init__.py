"""How much of each layer two neural networks have in common: matching of spans of neurons' activations."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.errors import (
        InputIndexError as InputIndexError,
        InputTypeError as InputTypeError,
        InputValueError as InputValueError,
        MissingExtraError as MissingExtraError,
        SpanmatchError as SpanmatchError,
    )
    from spanmatch.matching import (
        GramMatrix as GramMatrix,
        Match as Match,
        MatchProfile as MatchProfile,
        MinimalMatches as MinimalMatches,
        OffsetWarning as OffsetWarning,
        RowMoments as RowMoments,
        SimpleMatch as SimpleMatch,
        TooFewSamplesWarning as TooFewSamplesWarning,
        decompose as decompose,
        is_match as is_match,
        match_profile as match_profile,
        maximum_match as maximum_match,
        minimal_match as minimal_match,
        minimal_matches as minimal_matches,
        minimum_match as minimum_match,
        offset_neurons as offset_neurons,
        relative_residuals as relative_residuals,
        residual_bounds as residual_bounds,
        simple_matches as simple_matches,
    )
    from spanmatch.version import __version__ as __version__
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.errors": (
                "InputIndexError InputTypeError InputValueError MissingExtraError SpanmatchError"
            ),
            "spanmatch.matching": (
                "GramMatrix Match MatchProfile MinimalMatches OffsetWarning RowMoments SimpleMatch "
                "TooFewSamplesWarning decompose is_match match_profile maximum_match "
                "minimal_match minimal_matches minimum_match offset_neurons relative_residuals "
                "residual_bounds simple_matches"
            ),
            "spanmatch.version": "__version__",
        },
    )
