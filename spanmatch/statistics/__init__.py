"""How far to trust a value: its null, its error, its held-out rival, and whether it has settled."""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.statistics.growing import verdict as verdict
    from spanmatch.statistics.jackknifed import (
        jackknife_bias as jackknife_bias,
        jackknife_error as jackknife_error,
    )
    from spanmatch.statistics.permutations import permutation as permutation
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
            "spanmatch.statistics.growing": "verdict",
            "spanmatch.statistics.jackknifed": "jackknife_bias jackknife_error",
            "spanmatch.statistics.permutations": "permutation",
            "spanmatch.statistics.significance": (
                "Test calibrated family_wise least_permutations null_threshold p_value"
            ),
        },
    )
