"""What errors, held-out values and nulls cost beside one profile: ``python -m benchmarks.resamples 256``."""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from spanmatch import GramMatrix, OffsetWarning, fold_grams, held_out_profile, jackknife, match_profile
from spanmatch.statistics import permuted_comoments


def seconds(call: Callable[[], object], runs: int = 5) -> float:
    """Processor time of the quickest of some calls, which other programs slow down least."""
    taken = []
    for _ in range(runs):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def main(neurons: int, images: int = 4096) -> None:
    """Print processor seconds of each, for entangled rectified layers."""
    warnings.simplefilter("ignore", OffsetWarning)
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((images, 60))
    x, y = (
        np.maximum(
            causes @ rng.standard_normal((60, neurons)) / 8 + 0.3 * rng.standard_normal((images, neurons)), 0
        )
        for _ in range(2)
    )
    folds = fold_grams(x, y)
    gram = GramMatrix.from_activations(x, y)
    own_x, own_y, _ = gram.comoments
    orders = [rng.permutation(images) for _ in range(20)]
    one = seconds(lambda: match_profile(gram))
    print(f"{neurons} + {neurons} neurons, {images} images")
    for name, call in (
        ("statistic of all images", lambda: GramMatrix.from_activations(x, y)),
        ("20 permuted cross parts", lambda: permuted_comoments(x, y, orders, own_x=own_x, own_y=own_y)),
        ("jackknife over 10 folds", lambda: jackknife(folds, measures=["linear-cka"])),
        ("held-out profile, 10 folds", lambda: held_out_profile(folds)),
    ):
        taken = seconds(call)
        print(f"{name}: {taken:.2f} s, {taken / one:.1f} profiles of {one:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
