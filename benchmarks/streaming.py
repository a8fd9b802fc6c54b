"""What streaming costs beside bare passes and products, and its memory: ``python -m benchmarks.streaming``.

Two networks with random weights, random images of 32 × 32, the outputs of all activation functions, all
positions, one thread, as a worker has. *Streaming* is what a worker does: networks built, loaded and looked
into, sums of every layer with itself and with the other network's. Each case is a process of its own; seconds
are of the processor.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks.clock import markdown, show_seconds
from spanmatch import networks
from spanmatch.networks.datasource import DataSource
from storage.checkpoints import write_checkpoint
from storage.root import Artefact, Root
from tasks import streamed
from tasks.segments import SegmentUnit
from tasks.statistic import Reading
from tasks.streamed import StreamedUnit

SHAPE, CLASSES, MOST_IMAGES = (3, 32, 32), 10, 4096
BATCH_IMAGES, BLOCK_SAMPLES = 32, 4096


@dataclass(frozen=True)
class Case:
    """What passes, and by how many folds it is summed."""

    architecture: str
    images: int
    folds: int


CASES = [Case("vgg16", 256, 0), *(Case(*each, 10) for each in product(("vgg16", "resnet18"), (256, 1024)))]
QUICK = [Case("resnet20", images, 2) for images in (32, 64)]


def random_images() -> networks.Dataset:
    """Return the data set, of which a case takes the first images."""
    pixels = np.random.default_rng(0).normal(size=(MOST_IMAGES, *SHAPE)).astype(np.float32)
    labels = np.arange(MOST_IMAGES) % CLASSES
    images = networks.Images(pixels, labels, tuple(map(str, range(MOST_IMAGES))))
    return networks.Dataset("random", None, images, CLASSES)


def made(architecture: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return networks.build(architecture, SHAPE, CLASSES, 1.0).eval()


def units_of(root: Root, case: Case, both: Sequence[nn.Module], layers: Sequence[str]) -> list[StreamedUnit]:
    """Keep the networks, and return the own part of each layer and the cross part of each two."""
    source = DataSource("benchmarks.streaming:random_images")
    digest = networks.load_source(source).held_out.digest
    sides: list[list[SegmentUnit]] = []
    for seed, network in enumerate(both):
        name = f"networks/{seed}"
        weights = {key: values.numpy() for key, values in network.state_dict().items()}
        checkpoint = Artefact("networks", str(seed), name, write_checkpoint(root, name, "final", weights, {}))
        sides.append(
            [
                SegmentUnit(
                    label=f"{seed} · {layer}",
                    network=checkpoint,
                    checkpoint="final",
                    architecture=case.architecture,
                    code="",
                    width=1.0,
                    source=source,
                    dataset_digest=digest,
                    layer=layer,
                    start=0,
                    stop=case.images,
                    positions="all",
                    positions_seed=0,
                    dtype="float32",
                    device="cpu",
                )
                for layer in layers
            ]
        )
    return [
        StreamedUnit("", x, y, tile="", tile_label="", estimate=0.0, folds=case.folds)
        for one, other in zip(*sides, strict=True)
        for x, y in ((one, one), (other, other), (one, other))
    ]


def seconds(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def measured(case: Case) -> list[str]:
    """Give the row of a case."""
    images = networks.load_source(DataSource("benchmarks.streaming:random_images")).held_out
    both = [made(case.architecture, seed) for seed in range(2)]
    known = networks.choose(networks.list_layers(both[0], images.slice(0, 2)), ["default"]).layers

    def passes() -> None:
        with torch.no_grad():
            for start in range(0, case.images, BATCH_IMAGES):
                pixels = torch.from_numpy(images.slice(start, min(start + BATCH_IMAGES, case.images)).pixels)
                for network in both:
                    network(pixels)

    def products() -> None:
        for layer in known:
            x, y = np.random.default_rng(0).normal(size=(2, BLOCK_SAMPLES, layer.neurons))
            samples = case.images * layer.positions
            for start in range(0, samples, BLOCK_SAMPLES):
                a, b = x[: samples - start], y[: samples - start]
                for one, other in ((a, a), (b, b), (a, b)):
                    one.T @ other

    with tempfile.TemporaryDirectory(prefix="spanmatch-") as folder:
        root = Root.prepare(str(Path(folder) / "root"))
        units = units_of(root, case, both, [layer.name for layer in known])
        streaming = seconds(lambda: streamed.compute(root, units, Reading(root)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    passing, multiplying = seconds(passes), seconds(products)
    return [
        case.architecture,
        f"{case.images:,}",
        str(case.folds or "none"),
        show_seconds(passing),
        show_seconds(multiplying),
        show_seconds(streaming),
        f"{streaming / (passing + multiplying):.2f}",
        f"{memory / 1e9:.2f} GB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, to see that it works")
    parser.add_argument("--case", type=int, help="this one, in this process")
    arguments = parser.parse_args()
    cases = QUICK if arguments.quick else CASES
    if arguments.case is not None:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            print(json.dumps(measured(cases[arguments.case])))
        return
    table: list[list[str]] = []
    for number in range(len(cases)):
        command = [sys.executable, "-m", "benchmarks.streaming", "--case", str(number), *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - itself
        table.append(json.loads(done.stdout.splitlines()[-1]))
    header = ("networks", "images", "folds", "passes", "products", "streaming", "ratio", "resident memory")
    print(markdown(table, header))


if __name__ == "__main__":
    main()
