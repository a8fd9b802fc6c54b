"""How much of each layer two neural networks have in common: matching of spans of neurons' activations."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.comparing import Comparison as Comparison, compare as compare
    from spanmatch.errors import (
        InputIndexError as InputIndexError,
        InputTypeError as InputTypeError,
        InputValueError as InputValueError,
        MissingExtraError as MissingExtraError,
        SpanmatchError as SpanmatchError,
    )
    from spanmatch.matching import (
        CoverFreedom as CoverFreedom,
        EssentialGraph as EssentialGraph,
        GramMatrix as GramMatrix,
        Match as Match,
        MatchProfile as MatchProfile,
        MinimalMatches as MinimalMatches,
        OffsetWarning as OffsetWarning,
        RowMoments as RowMoments,
        SimpleMatch as SimpleMatch,
        TooFewSamplesWarning as TooFewSamplesWarning,
        cover_freedom as cover_freedom,
        decompose as decompose,
        essential as essential,
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
    from spanmatch.opening import open_root as open_root
    from spanmatch.statistics import (
        Growth as Growth,
        HeldOut as HeldOut,
        HeldOutProfile as HeldOutProfile,
        Jackknife as Jackknife,
        Null as Null,
        Test as Test,
        calibrated as calibrated,
        family_wise as family_wise,
        fold_grams as fold_grams,
        growth as growth,
        held_out as held_out,
        held_out_profile as held_out_profile,
        jackknife as jackknife,
        jackknife_bias as jackknife_bias,
        jackknife_error as jackknife_error,
        least_permutations as least_permutations,
        null as null,
        null_threshold as null_threshold,
        p_value as p_value,
        permutation as permutation,
        permuted_comoments as permuted_comoments,
        verdict as verdict,
    )
    from spanmatch.version import __version__ as __version__
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.comparing": "Comparison compare",
            "spanmatch.errors": (
                "InputIndexError InputTypeError InputValueError MissingExtraError SpanmatchError"
            ),
            "spanmatch.matching": (
                "CoverFreedom EssentialGraph GramMatrix Match MatchProfile MinimalMatches OffsetWarning "
                "RowMoments SimpleMatch TooFewSamplesWarning cover_freedom decompose essential "
                "is_match match_profile maximum_match minimal_match minimal_matches minimum_match "
                "offset_neurons relative_residuals residual_bounds simple_matches"
            ),
            "spanmatch.opening": "open_root",
            "spanmatch.statistics": (
                "Growth HeldOut HeldOutProfile Jackknife Null Test calibrated family_wise "
                "fold_grams growth held_out held_out_profile jackknife jackknife_bias "
                "jackknife_error least_permutations null null_threshold p_value permutation "
                "permuted_comoments verdict"
            ),
            "spanmatch.version": "__version__",
        },
        needs={"compare": "torch"},
    )
