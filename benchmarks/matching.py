"""Print a Markdown table of what matching costs: ``python -m benchmarks.matching [--quick]``.

Both sides run in turn in this process on the same arrays, and every answer that both give is compared.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
from scipy.linalg import lstsq
from scipy.linalg.blas import dgemm

from benchmarks import baseline
from benchmarks.clock import Row, in_turn, markdown, peak_bytes, show_seconds
from benchmarks.layer_pairs import Pair, planted_blocks, relu_features
from spanmatch import (
    GramMatrix,
    Match,
    MatchProfile,
    SimpleMatch,
    match_profile,
    minimal_match,
    simple_matches,
)

EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)
FURTHER = 0.27
DRAWS = 16
# Single-precision least squares errs by 1e-6 to 9e-6: neurons so close to epsilon may fall on either side.
SINGLE_PRECISION = 2e-5


@dataclass(frozen=True)
class Sizes:
    """How large each measurement is."""

    neurons: int = 512
    samples: int = 10_000
    causes: int = 12
    minimal_neurons: int = 64
    minimal_samples: int = 2_000
    chunk: int = 8_192
    product: int = 2_048
    widths: tuple[int, ...] = (2_048,)


QUICK = Sizes(24, 400, 3, 8, 200, 256, 128, (48,))


class DisagreementError(AssertionError):
    """The published algorithms and ours gave different answers."""


def check_known_answers() -> None:
    """Refuse a baseline that does not give the answers known without computing."""
    x = np.zeros((6, 4), dtype=np.float32)
    x[[0, 1, 1, 3, 4], [0, 0, 1, 2, 3]] = 1, 0.5, 1, 1, 1
    y = np.zeros((6, 5), dtype=np.float32)
    y[[2, 0, 0, 1, 3, 4], [0, 1, 2, 2, 3, 4]] = 1, 1, 0.5, 1, 1, 1
    dead = np.eye(4, 2, dtype=np.float32)[::-1]
    for found, expected in (
        (baseline.maximum_match(x, y, 0.1), Match([0, 1, 2, 3], [1, 2, 3, 4])),
        (baseline.minimal_match(x, y, 0, 0.1), Match([0, 1], [1, 2])),
        (baseline.minimal_match(x, y, 2, 0.1), Match([2], [3])),
        (baseline.maximum_match(dead * [0, 1], dead[:, ::-1] * [1, 0], 0.3), Match([1], [0])),
    ):
        if found is None or Match(*found) != expected:
            raise DisagreementError(f"the transcription must find {expected}, got {found}")


def compare_maximum(pair: Pair, profile: MatchProfile, epsilon: float) -> None:
    """Compare Algorithm 1 with ours, up to what single precision cannot decide."""
    theirs = Match(*baseline.maximum_match(*pair, epsilon))
    least = profile.maximum_match(epsilon - SINGLE_PRECISION)
    most = profile.maximum_match(epsilon + SINGLE_PRECISION)
    if not least <= theirs <= most:
        raise DisagreementError(f"maximum matches differ at epsilon {epsilon}")


def rates(sizes: Sizes, runs: int) -> Iterator[Row]:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((sizes.product, sizes.product)) for _ in "ab")
    columns = 2 * sizes.neurons
    wide = rng.standard_normal((2, sizes.chunk, sizes.neurons))
    narrow = wide.astype(np.float32)
    gram = GramMatrix.zeros(sizes.neurons, sizes.neurons)
    product, double, single = in_turn(
        lambda: dgemm(1.0, a.T, b.T), lambda: gram.update(*wide), lambda: gram.update(*narrow), runs=5 * runs
    )
    ceiling = 2 * sizes.product**3 / product
    yield Row(
        f"float64 matrix product, {sizes.product:,} × {sizes.product:,}",
        ours=f"{ceiling / 1e9:.3g} Gflop/s",
        note="the ceiling",
    )
    for name, seconds in (("float64", double), ("float32", single)):
        rate = sizes.chunk * columns * (columns + 1) / seconds
        yield Row(
            f"`GramMatrix.update`, {columns:,} columns, chunks of {sizes.chunk:,}, {name}",
            ours=f"{rate / 1e9:.3g} Gflop/s",
            ratio=f"{rate / ceiling:.0%} of the product's rate",
            target="80 %",
            note="counting the flops that symmetry leaves",
        )


def maximum_matches(sizes: Sizes, runs: int) -> Iterator[Row]:
    rng = np.random.default_rng(2)
    pool = relu_features(rng, DRAWS * sizes.samples, sizes.neurons, sizes.causes, (0.02, 1.0))
    drawn = np.sort(rng.choice(DRAWS * sizes.samples, sizes.samples, replace=False))
    pair = pool[0][drawn], pool[1][drawn]
    profile = match_profile(GramMatrix.from_activations(*pair))
    for epsilon in (*EPSILONS, FURTHER):
        compare_maximum(pair, profile, epsilon)

    def theirs() -> None:
        for epsilon in EPSILONS:
            baseline.maximum_match(*pair, epsilon)

    def ours(activations: Pair) -> None:
        whole = match_profile(GramMatrix.from_activations(*activations))
        for epsilon in EPSILONS:
            whole.maximum_match(epsilon)

    slow, draw, everything = in_turn(theirs, lambda: ours(pair), lambda: ours(pool), runs=runs)
    shares = ", ".join(f"{profile.similarity(epsilon):.2f}" for epsilon in EPSILONS)
    size = f"{sizes.neurons} + {sizes.neurons} × {sizes.samples:,} float32"
    yield _against(f"five ε: {size}", slow, draw, 15, f"similarity {shares}")
    published_draws = f"published: {DRAWS} × the measured draw, extrapolated"
    note = f"{published_draws}; ours: one pass over the {sizes.samples:,} samples of one draw"
    yield _against(f"{DRAWS} draws × five ε", DRAWS * slow, draw, 200, note)
    note = f"{published_draws}; ours: all {len(pool[0]):,} samples, of which the draws take some"
    yield _against(f"{DRAWS} draws × five ε, all samples", DRAWS * slow, everything, None, note)
    published_driver, single = in_turn(
        lambda: baseline.residuals(*pair), lambda: lstsq(pair[1], pair[0], check_finite=False), runs=runs
    )
    yield Row(
        "one least-squares problem of these: numpy.linalg.lstsq against SciPy's single-precision driver",
        published=show_seconds(published_driver),
        ratio=f"{published_driver / single:.2g}",
        note="how much faster the baseline could be",
    )
    slow, fast = in_turn(
        lambda: baseline.maximum_match(*pair, FURTHER), lambda: profile.maximum_match(FURTHER), runs=3 * runs
    )
    yield _against(f"a further ε ({FURTHER})", slow, fast, 10_000, "a comparison with the profile")


def one_minimal_match(sizes: Sizes, runs: int) -> Iterator[Row]:
    rng = np.random.default_rng(3)
    samples, n = sizes.minimal_samples, sizes.minimal_neurons
    for name, epsilon, pair in (
        ("planted blocks of 1–8", 0.3, planted_blocks(rng, samples, n, n // 8, 8)),
        ("entangled ReLU", 0.5, relu_features(rng, samples, n, sizes.causes, (0.1, 0.1))),
    ):
        profile = match_profile(GramMatrix.from_activations(*pair))
        indices = profile.maximum_match(epsilon).x
        index = int(indices[0]) if indices.size else 0

        def theirs(pair: Pair = pair, index: int = index, epsilon: float = epsilon) -> Match | None:
            found = baseline.minimal_match(*pair, index, epsilon)
            return None if found is None else Match(*found)

        def ours(pair: Pair = pair, index: int = index, epsilon: float = epsilon) -> Match | None:
            return minimal_match(GramMatrix.from_activations(*pair), ("x", index), epsilon=epsilon)

        found = ours()
        if theirs() != found:
            raise DisagreementError(f"minimal matches of ('x', {index}) differ, {name}, epsilon {epsilon}")
        slow, fast = in_turn(theirs, ours, runs=2 * runs)
        note = f"{found.size if found else 0} neurons; ours with the Gram matrix"
        yield _against(f"one minimal match: {n} + {n} × {samples:,}, {name}", slow, fast, 1000, note)


def covering(sizes: Sizes, runs: int) -> Iterator[Row]:
    rng = np.random.default_rng(4)
    n, samples, causes = sizes.neurons, sizes.samples, sizes.causes
    rising, low, high = (0.02, 1.0), (0.05, 0.05), (0.1, 0.1)
    for name, epsilon, pair in (
        ("planted blocks of 1–40", 0.3, planted_blocks(rng, samples, n, n // 5)),
        (f"{causes} causes, own noise 0.02–1", 0.5, relu_features(rng, samples, n, causes, rising)),
        (f"{causes} causes, own noise 0.02–1", 0.3, relu_features(rng, samples, n, causes, rising)),
        (f"{2 * causes} causes, own noise 0.05", 0.25, relu_features(rng, samples, n, 2 * causes, low)),
        (f"{5 * causes} causes, own noise 0.1", 0.5, relu_features(rng, samples, n, 5 * causes, high)),
    ):
        gram = GramMatrix.from_activations(*pair)
        found: list[SimpleMatch] = []

        def ours(gram: GramMatrix = gram, epsilon: float = epsilon, found: list[SimpleMatch] = found) -> None:
            found[:] = simple_matches(gram, epsilon=epsilon)

        (seconds,) = in_turn(ours, runs=min(runs, 3))
        matched = match_profile(gram).maximum_match(epsilon).size
        counts = [one.match.size for one in found] or [0]
        planted = "planted" in name
        yield Row(
            f"`simple_matches`, {n} + {n}, ε = {epsilon}: {name if planted else f'entangled ReLU, {name}'}",
            ours=show_seconds(seconds),
            target="120 s" if planted else "",
            note=f"{matched} neurons in the maximum match, {len(found)} simple matches of {min(counts)} to "
            f"{max(counts)} neurons, median {statistics.median(counts):g}",
        )


def wide_profiles(sizes: Sizes) -> Iterator[Row]:
    for width in sizes.widths:
        rng = np.random.default_rng(5)
        gram = GramMatrix.zeros(width, width)
        for _ in range(3):  # more samples than neurons, a chunk at a time
            gram.update(*relu_features(rng, width, width, sizes.causes, (0.02, 1.0)))
        (seconds,) = in_turn(lambda g=gram: match_profile(g), runs=3)
        matrices = peak_bytes(lambda g=gram: match_profile(g)) / (8 * (2 * width) ** 2)
        yield Row(
            f"`match_profile`, {width:,} + {width:,}",
            ours=show_seconds(seconds),
            ratio=f"{matrices:.2g} Gram matrices at peak",
            target="6",
            note=f"one joint Gram matrix is {8e-6 * (2 * width) ** 2:,.0f} MB",
        )


def _against(what: str, theirs: float, ours: float, target: int | None, note: str) -> Row:
    ratio, wanted = f"{theirs / ours:,.0f}", "" if target is None else f"{target:,}"
    return Row(what, show_seconds(theirs), show_seconds(ours), ratio, wanted, note)


def table(sizes: Sizes, runs: int) -> str:
    """Measure everything and return the table."""
    check_known_answers()
    rows = [
        *rates(sizes, runs),
        *maximum_matches(sizes, runs),
        *one_minimal_match(sizes, runs),
        *covering(sizes, runs),
        *wide_profiles(sizes),
    ]
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matching", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is taken of")
    parser.add_argument("--width", type=int, action="append", help="neurons a side of the wide profile")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else Sizes(widths=tuple(arguments.width or Sizes().widths))
    print(table(sizes, arguments.runs))
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    print(f"\n{platform.machine()}, {os.cpu_count()} cores; {versions}.")


if __name__ == "__main__":
    main()
