"""The parts of many networks beside one joint product: ``python -m benchmarks.joint_product [--quick]``.

The stage reads, verifies, centres and multiplies from the disk. Beside it, the same of one layer as wide as
all of them, and one symmetric product of all deviations in memory; seconds are of the processor.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from benchmarks.clock import markdown, processor_seconds, show_seconds
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import Deviations, blocks, deviations
from storage.arrays import GroupReader, GroupWriter
from storage.root import Artefact, Root
from tasks.reduction import CoMomentsUnit, SegmentLayer, compute
from tasks.statistic import Reading
from tasks.writing import BackgroundWriter, LayerWriter

POSITIONS = 256


class Sizes(NamedTuple):
    """How much is measured."""

    images: int = 64
    neurons: tuple[int, ...] = (64, 128, 256, 512)
    networks: tuple[int, ...] = (5, 10, 20)


QUICK = Sizes(4, (8,), (2, 3))


class Counted(NamedTuple):
    """What a pass did: chunks that it read, different ones of them, and flops of its products."""

    read: int
    different: int
    flops: int


def write(root: Root, number: int, neurons: int, images: int) -> SegmentLayer:
    """Keep one layer of one network as extraction does, ReLU features drawn from a seed."""
    values = np.random.default_rng(number).standard_normal((images, POSITIONS, neurons), dtype=np.float32)
    name = f"segments/{number}.zarr"
    with root.publish(name) as folder:
        group = GroupWriter(folder, {})
        with BackgroundWriter() as background:
            LayerWriter(group, "layer", images, "float32").append(np.maximum(values, 0), background)
        digest = group.finish()
    return SegmentLayer("layer", Artefact("segments", str(number), name, digest), digest)


def units_of(layers: Sequence[SegmentLayer]) -> list[CoMomentsUnit]:
    """Return the own part of every layer, and the cross part of every two."""
    return [
        CoMomentsUnit("", x, y, tile="", tile_label="", estimate=0.0)
        for x, y in combinations_with_replacement(layers, 2)
    ]


def side_by_side(root: Root, layers: Sequence[SegmentLayer]) -> NDArray[np.float64]:
    """Return the deviations of all layers as columns of one array, (samples and means of groups, neurons)."""
    columns = []
    for layer in layers:
        values = GroupReader(root, layer.segment).read(layer.layer)
        rows = [deviations(block).values for block in blocks(values.reshape(-1, values.shape[-1]))]
        columns.append(np.concatenate(rows))
    return np.concatenate(columns, axis=1)


def counted(work: Callable[[], object]) -> Counted:
    """Count what a pass over the chunks reads and multiplies."""
    read: list[tuple[int, int]] = []
    flops = 0
    read_block, update = GroupReader.read_block, CoMoments.update

    def reading(group: GroupReader, name: str, block: int) -> NDArray[np.float32]:
        read.append((id(group), block))
        return read_block(group, name, block)

    def updating(sums: CoMoments, x: Deviations, y: Deviations, products: NDArray[np.float64]) -> None:
        nonlocal flops
        rows, n_x = x.values.shape
        flops += rows * n_x * (n_x + 1 if x is y else 2 * y.values.shape[1])
        update(sums, x, y, products)

    GroupReader.read_block, CoMoments.update = reading, updating  # type: ignore[method-assign]
    try:
        work()
    finally:
        GroupReader.read_block, CoMoments.update = read_block, update  # type: ignore[method-assign]
    return Counted(len(read), len(set(read)), flops)


def rows(root: Root, sizes: Sizes, runs: int) -> Iterator[tuple[str, ...]]:
    for neurons in sizes.neurons:
        layers = [write(root, number, neurons, sizes.images) for number in range(max(sizes.networks))]
        chunks = GroupReader(root, layers[0].segment).blocks("layer")
        fewer: tuple[int, float] | None = None
        for networks in sizes.networks:
            some = layers[:networks]
            units, joint = units_of(some), side_by_side(root, some)

            def ours(units: list[CoMomentsUnit] = units) -> object:
                return compute(root, units, Reading(root))

            wide = write(root, 1000 + networks, neurons * networks, sizes.images)
            joint_units = units_of([wide])

            def joint_layer(units: list[CoMomentsUnit] = joint_units) -> object:
                return compute(root, units, Reading(root))

            done = counted(ours)
            assert (done.read, done.different) == (networks * chunks, networks * chunks), done
            spent = processor_seconds((ours, joint_layer, lambda joint=joint: dsyrk(1.0, joint.T)), runs)
            stage, layer, product = (median(times) for times in zip(*spent, strict=True))
            flops = len(joint) * joint.shape[1] * (joint.shape[1] + 1)
            growth = ""
            if fewer is not None:
                growth = f"{stage / fewer[1]:.1f} for {(networks / fewer[0]) ** 2:.0f}"
            fewer = networks, stage
            yield (
                str(neurons),
                str(networks),
                f"{done.read} of {networks * chunks}",
                f"{done.flops / flops:.2f}",
                show_seconds(stage),
                show_seconds(layer),
                f"{median(times[0] / times[1] for times in spent):.2f}",
                show_seconds(product),
                f"{median(times[0] / times[2] for times in spent):.2f}",
                growth,
            )
            del joint
        root.place.remove("segments")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint_product", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    parser.add_argument("--neurons", type=int, nargs="+", default=Sizes().neurons)
    arguments = parser.parse_args()
    if {os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")} != {"1"}:
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # BLAS reads it once, when it starts
        command = [sys.executable, "-m", "benchmarks.joint_product", *sys.argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606 - itself
    sizes = QUICK if arguments.quick else Sizes(neurons=tuple(arguments.neurons))
    folder = Path(tempfile.mkdtemp(prefix="spanmatch-"))
    table = []
    try:
        for row in rows(Root.prepare(folder), sizes, arguments.runs):
            print(*row, sep=", ", file=sys.stderr)  # minutes pass before all are there
            table.append(row)
    finally:
        shutil.rmtree(folder)
    header = (
        "neurons",
        "networks",
        "chunks read",
        "flops",
        "stage",
        "one layer",
        "ratio",
        "product",
        "ratio",
        "growth",
    )
    print(markdown(table, header))
    print(f"\n{os.cpu_count()} cores; load at the end {os.getloadavg()[1]:.1f}.")


if __name__ == "__main__":
    main()
