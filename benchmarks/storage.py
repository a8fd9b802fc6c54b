"""Print what keeping activations costs: ``python -m benchmarks.storage [--quick]``.

Real activations, written and read as a study does, checksums and digests included, under each compression;
then extraction beside the bare forward pass. All in turn, in one process.
"""

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import nn
from torchvision.models import vgg16
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, ZstdCodec

from benchmarks.clock import in_turn, markdown
from spanmatch.networks.activations import default_layers, extract
from spanmatch.networks.architectures import build
from spanmatch.networks.data import Images, load_dataset
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.training import deterministic, load_weights, train
from storage.arrays import COMPRESSORS, Artefact, GroupReader, GroupWriter
from storage.root import Root
from tasks.writing import BackgroundWriter, LayerWriter

Layers = dict[str, NDArray[np.float32]]


class Way(NamedTuple):
    """One way to keep activations."""

    name: str
    dtype: str
    compressors: tuple[BytesBytesCodec, ...]


WAYS = (
    Way("raw", "float32", ()),
    Way("zstd 0", "float32", (ZstdCodec(level=0),)),
    Way("zstd 0, shuffled", "float32", (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),)),
    Way("lz4", "float32", (BloscCodec(cname="lz4", clevel=5, shuffle="noshuffle"),)),
    Way("lz4, shuffled", "float32", (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),)),
    Way("raw", "float16", ()),
    Way("zstd 0", "float16", (ZstdCodec(level=0),)),
    Way("lz4, shuffled", "float16", (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),)),
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    images: int = 512
    epochs: int = 12
    ways: tuple[Way, ...] = WAYS


QUICK = Sizes(4, 1, WAYS[:2])


@dataclass(frozen=True)
class Subject:
    """A network, what goes through it, and its layers."""

    name: str
    network: nn.Module
    layers: tuple[str, ...]
    images: Images


def subjects(sizes: Sizes) -> Iterator[Subject]:
    digits = load_dataset("digits")
    with deterministic(0):
        features = vgg16().features.eval()
    few = digits.held_out.slice(0, sizes.images)
    enlarged = nn.functional.interpolate(torch.from_numpy(few.pixels).expand(-1, 3, -1, -1), size=(32, 32))
    pictures = Images(enlarged.numpy(), few.labels, few.ids)
    yield Subject("VGG16, untrained, 32 × 32", features, tuple(default_layers(features)), pictures)
    recipe = Recipe(sizes.epochs, 64, 0.1, 0.9, 5e-4)
    weights = train("vgg9-digits", digits, 0, recipe)["final"].weights
    network = load_weights(build("vgg9-digits"), weights)
    yield Subject("VGG9, trained on digits", network, tuple(default_layers(network)), few)


def write(root: Root, key: str, layers: Layers, way: Way) -> Artefact:
    """Write layers as extraction does, all of them at once."""
    with root.publish(root.artefact("segments", key)) as folder:
        group = GroupWriter(folder, {}, way.compressors)
        with BackgroundWriter() as background:
            for name, values in layers.items():
                LayerWriter(group, name, len(values), way.dtype).append(values, background)
        return Artefact("segments", key, group.finish())


def extract_to(root: Root, subject: Subject, way: Way) -> None:
    """Extract as a study does: forward passes, and writing beside them."""
    with root.publish(root.artefact("segments", "extracted")) as folder:
        groups = {layer: GroupWriter(folder / layer, {}, way.compressors) for layer in subject.layers}
        writers = {
            layer: LayerWriter(group, layer, len(subject.images), way.dtype)
            for layer, group in groups.items()
        }
        with BackgroundWriter() as background:
            for batch in extract(subject.network, subject.layers, subject.images):
                for layer, values in batch.items():
                    writers[layer].append(values, background)
    root.forget("segments", "extracted")


def forward(subject: Subject) -> None:
    """Pass the images through the network, and keep nothing."""
    with deterministic(), torch.inference_mode():
        for start in range(0, len(subject.images), 128):
            subject.network(torch.from_numpy(subject.images.slice(start, start + 128).pixels))


def stored_bytes(root: Root, key: str) -> int:
    folder = Path(root.where(root.artefact("segments", key)))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def rows(subject: Subject, root: Root, ways: Sequence[Way], runs: int) -> Iterator[tuple[str, ...]]:
    batches = list(extract(subject.network, subject.layers, subject.images))
    layers = {name: np.concatenate([batch[name] for batch in batches]) for name in subject.layers}
    del batches
    size = sum(values.nbytes for values in layers.values())
    bare_processor = processor_seconds(lambda: forward(subject))
    for number, way in enumerate(ways):
        key = f"way{number}"
        artefact = write(root, key, layers, way)

        def again(way: Way = way) -> None:
            write(root, "again", layers, way)
            root.forget("segments", "again")

        def read(artefact: Artefact = artefact) -> None:
            group = GroupReader(root, artefact)
            for name in layers:
                for block in range(group.blocks(name)):
                    group.read_block(name, block)

        def extraction(way: Way = way) -> None:
            extract_to(root, subject, way)

        writing, reading = in_turn(again, read, runs=runs)
        bare, extracting = in_turn(lambda: forward(subject), extraction, runs=runs)
        processor = processor_seconds(extraction)
        chosen = way.dtype == "float32" and way.compressors == COMPRESSORS
        yield (
            subject.name,
            f"{way.dtype}, {way.name}{' (default)' if chosen else ''}",
            f"{size / stored_bytes(root, key):.2f}",
            f"{size / writing / 1e6:,.0f} MB/s",
            f"{size / reading / 1e6:,.0f} MB/s",
            f"{bare / extracting:.0%}",
            f"{bare_processor / processor:.0%}",
        )
        root.forget("segments", key)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, to see that it works")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    arguments = parser.parse_args()
    sizes = QUICK if arguments.quick else Sizes()
    folder = Path(tempfile.mkdtemp(prefix="spanmatch-"))
    try:
        root = Root.prepare(folder)
        table = [
            row for subject in subjects(sizes) for row in rows(subject, root, sizes.ways, arguments.runs)
        ]
    finally:
        shutil.rmtree(folder)
    header = ("network", "kept as", "times smaller", "write", "read", "rate", "rate, both cores busy")
    print(markdown(table, header))
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, zarr {zarr.__version__}"
    print(f"\n{platform.machine()}, {os.cpu_count()} cores; {versions}.")


if __name__ == "__main__":
    main()
