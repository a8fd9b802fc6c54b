"""Print a Markdown table of what essential graphs and random covers cost.

``python -m benchmarks.essential_graph [--quick]``

Both sides of a row run in turn in this process on the same Gram matrix.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.clock import in_turn, markdown, show_seconds
from benchmarks.layer_pairs import Pair, planted_blocks, relu_features
from spanmatch import GramMatrix, cover_freedom, essential, match_profile, simple_matches

ORDERS = 2
HEADER = "layers", "in the maximum match", "what", "time", "against", "ratio", "found"


def pairs(neurons: int, samples: int) -> Iterator[tuple[str, float, Pair]]:
    """Yield pairs of layers as in `benchmarks.matching`, with a name and an epsilon."""
    rng = np.random.default_rng(4)
    yield "planted blocks", 0.3, planted_blocks(rng, samples, neurons, max(neurons // 5, 4))
    yield "60 causes, own noise 0.1", 0.5, relu_features(rng, samples, neurons, 60, (0.1, 0.1))


def rows(neurons: int, samples: int, runs: int) -> Iterator[tuple[str, ...]]:
    for name, epsilon, pair in pairs(neurons, samples):
        gram = GramMatrix.from_activations(*pair)
        graph = essential(gram, epsilon=epsilon)
        layers = f"{neurons} + {neurons}, ε = {epsilon}: {name}", str(graph.matched.size)
        seconds, profile = in_turn(
            lambda g=gram, e=epsilon: essential(g, epsilon=e), lambda g=gram: match_profile(g), runs=runs
        )
        found = (
            f"{graph.n_edges} edges, {sum(part.size > 1 for part in graph.components)} components of several"
        )
        yield (
            *layers,
            "`essential`",
            show_seconds(seconds),
            f"`match_profile`, {show_seconds(profile)}",
            f"{seconds / profile:.2g}",
            found,
        )
        covers = cover_freedom(gram, epsilon=epsilon, orders=ORDERS)
        seconds, one = in_turn(
            lambda g=gram, e=epsilon: cover_freedom(g, epsilon=e, orders=ORDERS),
            lambda g=gram, e=epsilon: simple_matches(g, epsilon=e),
            runs=runs,
        )
        yield (
            *layers,
            f"`cover_freedom`, {ORDERS} orders",
            show_seconds(seconds),
            f"`simple_matches`, {show_seconds(one)}",
            f"{seconds / one:.2g}",
            f"{min(covers.counts)} to {max(covers.counts)} simple matches, {covers.recurring} of all recur",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.essential_graph", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--runs", type=int, default=5, help="runs that a median is taken of")
    arguments = parser.parse_args()
    neurons, samples = (24, 400) if arguments.quick else (512, 10_000)
    print(markdown(list(rows(neurons, samples, arguments.runs)), HEADER))


if __name__ == "__main__":
    main()
