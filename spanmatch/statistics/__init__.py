"""How far to trust a value: its null, its error, its held-out rival, and whether it has settled."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.statistics.growing import (
        Growth as Growth,
        GrowthCurve as GrowthCurve,
        growth as growth,
        verdict as verdict,
    )
    from spanmatch.statistics.holding_out import (
        HeldOut as HeldOut,
        HeldOutProfile as HeldOutProfile,
        HeldOutRow as HeldOutRow,
        held_out as held_out,
        held_out_profile as held_out_profile,
    )
    from spanmatch.statistics.jackknifed import (
        Jackknife as Jackknife,
        JackknifeRow as JackknifeRow,
        jackknife as jackknife,
        jackknife_bias as jackknife_bias,
        jackknife_error as jackknife_error,
    )
    from spanmatch.statistics.nulls import (
        Null as Null,
        NullRow as NullRow,
        null as null,
    )
    from spanmatch.statistics.permutations import (
        permutation as permutation,
    )
    from spanmatch.statistics.permuted import (
        PermutedCoMoments as PermutedCoMoments,
        permuted_comoments as permuted_comoments,
        sample_order as sample_order,
    )
    from spanmatch.statistics.resampling import (
        each_without as each_without,
        first as first,
        fold_grams as fold_grams,
        whole as whole,
        without as without,
    )
    from spanmatch.statistics.significance import (
        Test as Test,
        calibrated as calibrated,
        family_wise as family_wise,
        least_permutations as least_permutations,
        null_threshold as null_threshold,
        p_value as p_value,
    )
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.statistics.growing": ("Growth GrowthCurve growth verdict"),
            "spanmatch.statistics.holding_out": (
                "HeldOut HeldOutProfile HeldOutRow held_out held_out_profile"
            ),
            "spanmatch.statistics.jackknifed": (
                "Jackknife JackknifeRow jackknife jackknife_bias jackknife_error"
            ),
            "spanmatch.statistics.nulls": ("Null NullRow null"),
            "spanmatch.statistics.permutations": ("permutation"),
            "spanmatch.statistics.permuted": ("PermutedCoMoments permuted_comoments sample_order"),
            "spanmatch.statistics.resampling": ("each_without first fold_grams whole without"),
            "spanmatch.statistics.significance": (
                "Test calibrated family_wise least_permutations null_threshold p_value"
            ),
        },
    )
