"""What nulls, errors, measures and essential neurons cost: ``python -m benchmarks.nulls_and_errors``.

Each beside what it is to be compared with, in turn, in one process; seconds are of the processor, and BLAS
has one thread.
"""

import argparse
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import markdown, processor_seconds, show_seconds
from spanmatch import (
    GramMatrix,
    essential,
    fold_grams,
    held_out_profile,
    jackknife,
    match_profile,
    permutation,
    permuted_comoments,
)
from spanmatch.matching.quick_profile import quick_profile
from spanmatch.measures import MEASURES, Evidence, evaluate
from storage.arrays import GroupWriter
from storage.packs import publish_pack
from storage.root import Artefact, Root
from tasks import permuting, reduction
from tasks.permuting import PermutedUnit, StoredLayer
from tasks.reduction import CoMomentsUnit, SegmentLayer
from tasks.statistic import Reading
from tasks.writing import BackgroundWriter, LayerWriter

FOLDS, PERMUTATIONS = 10, 20


class Sizes(NamedTuple):
    """How much is measured."""

    images: int = 256
    positions: int = 64
    neurons: tuple[int, ...] = (64, 128, 512)
    networks: tuple[int, ...] = (2, 3, 5)
    wide: tuple[int, ...] = (256, 512)


QUICK = Sizes(24, 4, (8,), (2,), (16,))


def write(root: Root, number: int, neurons: int, sizes: Sizes) -> SegmentLayer:
    """Keep one layer of one network as extraction does, ReLU features drawn from a seed."""
    shape = (sizes.images, sizes.positions, neurons)
    values = np.random.default_rng(number).standard_normal(shape, dtype=np.float32)
    name = f"segments/{neurons}-{number}.zarr"
    with root.publish(name) as folder:
        group = GroupWriter(folder, {"image_ids": [str(image) for image in range(sizes.images)]})
        with BackgroundWriter() as background:
            LayerWriter(group, "layer", sizes.images, "float32").append(np.maximum(values, 0), background)
        digest = group.finish()
    return SegmentLayer("layer", Artefact("segments", name, name, digest), digest)


def reduce_units(layers: Sequence[SegmentLayer], folds: int) -> list[CoMomentsUnit]:
    """Return the own part of every layer, and the cross part of every two."""
    return [
        CoMomentsUnit("", x, y, tile="", tile_label="", estimate=0.0, folds=folds)
        for x, y in combinations_with_replacement(layers, 2)
    ]


def permuted_units(root: Root, layers: Sequence[SegmentLayer]) -> list[PermutedUnit]:
    """Return the permuted cross parts of every two layers, whose own parts are computed and kept for that."""
    units = [CoMomentsUnit("", one, one, tile="", tile_label="", estimate=0.0) for one in layers]
    stored = []
    for layer, result in zip(layers, reduction.compute(root, units, Reading(root)), strict=True):
        key = result.unit.key
        publish_pack(root, "comoments", key, {key: result.content})
        own = Artefact("comoments", key, f"comoments/{key}.safetensors", result.record["digest"])
        stored.append(StoredLayer("layer", (layer.segment,), (layer.content,), (own,)))
    return [
        PermutedUnit("", x, y, number=number, seed=0, images_digest="", tile="", estimate=0.0)
        for x, y in combinations(stored, 2)
        for number in range(PERMUTATIONS)
    ]


def stage_rows(root: Root, sizes: Sizes, runs: int) -> Iterator[tuple[str, ...]]:
    for neurons in sizes.neurons:
        layers = [write(root, number, neurons, sizes) for number in range(max(sizes.networks))]
        for networks in sizes.networks:
            some = layers[:networks]
            plain, folded, permuted = (
                reduce_units(some, 0),
                reduce_units(some, FOLDS),
                permuted_units(root, some),
            )
            what = f"{networks} networks, a layer of {neurons}, {sizes.images * sizes.positions:,} samples"
            for name, module, units in (
                (f"reduce, by {FOLDS} folds", reduction, folded),
                (f"permute, {PERMUTATIONS} times", permuting, permuted),
            ):
                sides = (
                    lambda units=plain: reduction.compute(root, units, Reading(root)),
                    lambda module=module, units=units: module.compute(root, units, Reading(root)),
                )
                yield row(f"{name}: {what}", "reduce", sides, runs)


def entangled(neurons: int, samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two layers of rectified mixtures of the same 60 causes, with own noise."""
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((samples, 60))
    x, y = (
        np.maximum(
            causes @ rng.standard_normal((60, neurons)) + 0.1 * rng.standard_normal((samples, neurons)), 0
        )
        for _ in range(2)
    )
    return x, y


def library_rows(neurons: int, runs: int) -> Iterator[tuple[str, ...]]:
    samples = 10 * neurons
    x, y = entangled(neurons, samples)
    gram = GramMatrix.from_activations(x, y, rows=True)
    folds = fold_grams(x, y, folds=FOLDS)
    profile = match_profile(gram)
    own_x, own_y, _ = gram.comoments
    orders = [permutation(range(samples), seed=0, number=number) for number in range(PERMUTATIONS)]

    def all_measures() -> None:
        evidence = Evidence(gram, profile)
        for measure in MEASURES.values():
            evaluate(measure, evidence, 0.5 if measure.parameter else None)

    sides = {
        "one profile without a certificate": lambda: quick_profile(gram),
        f"jackknife, {FOLDS} folds": lambda: jackknife(folds),
        f"held-out profile, {FOLDS} folds": lambda: held_out_profile(folds),
        f"{PERMUTATIONS} permuted cross parts, streamed": lambda: permuted_comoments(
            x, y, orders, own_x=own_x, own_y=own_y
        ),
        f"all {len(MEASURES)} measures": all_measures,
        "essential neurons, ε = 0.5": lambda: essential(gram, epsilon=0.5, profile=profile),
    }
    for name, side in sides.items():
        sizes = f"{neurons} + {neurons} entangled, {samples:,} samples"
        yield row(f"{name}: {sizes}", "one match profile", (lambda: match_profile(gram), side), runs)


def row(
    what: str, beside: str, sides: tuple[Callable[[], object], Callable[[], object]], runs: int
) -> tuple[str, ...]:
    spent = processor_seconds(sides, runs)
    theirs, ours = (median(times) for times in zip(*spent, strict=True))
    ratio = median(ours / theirs for theirs, ours in spent)
    return what, show_seconds(ours), beside, show_seconds(theirs), f"{ratio:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nulls_and_errors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    arguments = parser.parse_args()
    if {os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")} != {"1"}:
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # BLAS reads it once, when it starts
        command = [sys.executable, "-m", "benchmarks.nulls_and_errors", *sys.argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606 - itself
    warnings.simplefilter("ignore")
    sizes = QUICK if arguments.quick else Sizes()
    folder = Path(tempfile.mkdtemp(prefix="spanmatch-"))
    table = []
    try:
        root = Root.prepare(folder)
        library = (library_rows(neurons, arguments.runs) for neurons in sizes.wide)
        for rows in (stage_rows(root, sizes, arguments.runs), *library):
            for each in rows:
                print(*each, sep=", ", file=sys.stderr)  # minutes pass before all are there
                table.append(each)
    finally:
        shutil.rmtree(folder)
    print(markdown(table, ("what", "takes", "beside", "takes", "ratio")))
    print(f"\n{os.cpu_count()} cores; load at the end {os.getloadavg()[1]:.1f}.")


if __name__ == "__main__":
    main()
