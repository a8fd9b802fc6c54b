"""Print what keeping activations costs: ``python -m benchmarks.storage [--quick]``.

Real activations, written, read and reduced as a study does, digests included, under each compression; then
extraction beside the bare forward pass. All in turn, in one process; torch and BLAS on one thread each.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import nn
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, ZstdCodec

from benchmarks.clock import in_turn, markdown
from spanmatch.matching.comoments import CoMoments
from spanmatch.matching.deviations import blocks, deviations
from spanmatch.networks.activations import extract
from spanmatch.networks.architectures import build
from spanmatch.networks.data import Images, load_dataset
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.layers import DEFAULT, choose
from spanmatch.networks.probing import list_layers
from storage.arrays import COMPRESSORS, GroupReader, GroupWriter
from storage.root import Artefact, Root
from tasks import reduction as comoments
from tasks.reduction import CoMomentsUnit, SegmentLayer
from tasks.statistic import Reading
from tasks.writing import BackgroundWriter, LayerWriter

Layers = dict[str, NDArray[np.float32]]


class Way(NamedTuple):
    """One way to keep activations."""

    name: str
    dtype: str
    compressors: tuple[BytesBytesCodec, ...]


WAYS = (
    Way("raw", "float32", ()),
    Way("lz4, bits shuffled", "float32", (BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),)),
    Way("zstd 1", "float32", (ZstdCodec(level=1),)),
    Way("zstd 0", "float32", (ZstdCodec(level=0),)),
    Way("raw", "float16", ()),
    Way("zstd 1", "float16", (ZstdCodec(level=1),)),
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    images: int = 1000  # a segment, as studies have it by default
    dataset: str = "fashion-mnist"
    ways: tuple[Way, ...] = WAYS


QUICK = Sizes(4, "digits", WAYS[:2])


@dataclass(frozen=True)
class Subject:
    """A network, its layers, and what goes through it."""

    network: nn.Module
    layers: tuple[str, ...]
    images: Images


def subject_of(sizes: Sizes) -> Subject:
    """Return an untrained VGG16 with all its activation functions, and pictures at its size."""
    held_out = load_dataset(sizes.dataset).held_out
    few = held_out.slice(0, sizes.images)
    enlarged = nn.functional.interpolate(torch.from_numpy(few.pixels), size=(32, 32))
    pictures = Images(enlarged.numpy(), few.labels, few.ids)
    with deterministic(0):
        network = build("vgg16", pictures.shape, 10).eval()
    layers = choose(list_layers(network, pictures.shape), [DEFAULT]).names
    return Subject(network, layers, pictures)


def write(root: Root, key: str, layers: Layers, way: Way) -> dict[str, Artefact]:
    """Write layers as extraction does, all of them at once."""
    with ExitStack() as publishing:
        writers = writers_of(
            root, key, {name: len(values) for name, values in layers.items()}, way, publishing
        )
        with BackgroundWriter() as background:
            for name, values in layers.items():
                writers[name].append(values, background)
        return {
            name: Artefact("segments", key, place(key, name), writer.group.finish())
            for name, writer in writers.items()
        }


def writers_of(
    root: Root, key: str, images: Mapping[str, int], way: Way, publishing: ExitStack
) -> dict[str, LayerWriter]:
    """Begin a group for each layer."""
    folders = {name: publishing.enter_context(root.publish(place(key, name))) for name in images}
    return {
        name: LayerWriter(GroupWriter(folder, {}, way.compressors), name, images[name], way.dtype)
        for name, folder in folders.items()
    }


def place(key: str, layer: str) -> str:
    return f"segments/{key}/{layer}.zarr"


def extract_to(root: Root, subject: Subject, way: Way) -> float:
    """Extract as a study does, writing beside the forward passes; return the time, without the clearing."""
    start = time.perf_counter()
    with ExitStack() as publishing:
        images = dict.fromkeys(subject.layers, len(subject.images))
        writers = writers_of(root, "extracted", images, way, publishing)
        with BackgroundWriter() as background:
            passes = extract(
                subject.network,
                subject.layers,
                subject.images,
                dtype=way.dtype,
                on_layer=lambda layer, values: writers[layer].append(values, background),
            )
            for _ in passes:
                pass
        for writer in writers.values():
            writer.group.finish()
    spent = time.perf_counter() - start
    root.place.remove("segments/extracted")
    return spent


def forward(subject: Subject) -> float:
    """Pass the images through the network in batches of extraction's size, and keep nothing."""
    start = time.perf_counter()
    with deterministic(), torch.inference_mode():
        for first in range(0, len(subject.images), 32):
            subject.network(torch.from_numpy(subject.images.slice(first, first + 32).pixels))
    return time.perf_counter() - start


def product(layers: Layers, rows: Mapping[str, int]) -> None:
    """Sum the co-moments of arrays in memory with themselves, chunk by chunk."""
    for name, values in layers.items():
        total = CoMoments.zeros(values.shape[2], values.shape[2])
        for first in range(0, len(values), rows[name]):
            for block in blocks(values[first : first + rows[name]].reshape(-1, values.shape[2])):
                centred = deviations(block)
                total.update(centred, centred)


def reduction(root: Root, artefacts: Mapping[str, Artefact]) -> None:
    """Sum the same from what is stored, as a worker does."""
    for name, artefact in artefacts.items():
        layer = SegmentLayer(name, artefact, artefact.digest)
        comoments.compute(root, [CoMomentsUnit(name, layer, layer, name, name, 0.0)], Reading(root))


def stored_bytes(root: Root, key: str) -> int:
    folder = Path(root.where(f"segments/{key}"))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def rows(subject: Subject, root: Root, ways: Sequence[Way], runs: int) -> Iterator[tuple[str, ...]]:
    batches = list(extract(subject.network, subject.layers, subject.images))
    layers = {
        name: np.ascontiguousarray(np.concatenate([batch[name] for batch in batches]))
        for name in subject.layers
    }
    del batches
    size = sum(values.nbytes for values in layers.values())
    for number, way in enumerate(ways):
        key = f"way{number}"
        artefacts = write(root, key, layers, way)
        groups = {name: GroupReader(root, artefact) for name, artefact in artefacts.items()}

        def again(way: Way = way) -> float:
            start = time.perf_counter()
            write(root, "again", layers, way)
            spent = time.perf_counter() - start
            root.place.remove("segments/again")
            return spent

        def read(groups: Mapping[str, GroupReader] = groups) -> None:
            for name, group in groups.items():
                for block in range(group.blocks(name)):
                    group.read_block(name, block)

        writing = median(again() for _ in range(runs))
        (reading,) = in_turn(read, runs=runs)
        passes = [(forward(subject), extract_to(root, subject, way)) for _ in range(runs)]
        bare, extracting = (median(times) for times in zip(*passes, strict=True))
        chunks = {name: len(group.read_block(name, 0)) for name, group in groups.items()}
        inner, from_disk = in_turn(
            lambda chunks=chunks: product(layers, chunks),
            lambda artefacts=artefacts: reduction(root, artefacts),
            runs=runs,
        )
        chosen = way.dtype == "float32" and way.compressors == COMPRESSORS
        yield (
            f"{way.dtype}, {way.name}{' (default)' if chosen else ''}",
            f"{size / stored_bytes(root, key):.2f}",
            f"{size / writing / 1e6:,.0f} MB/s",
            f"{size / reading / 1e6:,.0f} MB/s",
            f"{bare / extracting:.0%}",
            f"{inner / from_disk:.0%}",
        )
        root.place.remove(f"segments/{key}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, to see that it works")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # which BLAS reads once, when it starts
        os.environ["OMP_NUM_THREADS"] = "1"
        command = [sys.executable, "-m", "benchmarks.storage", *sys.argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606 - itself
    sizes = QUICK if arguments.quick else Sizes()
    folder = Path(tempfile.mkdtemp(prefix="spanmatch-"))
    try:
        root = Root.prepare(folder)
        table = []
        for row in rows(subject_of(sizes), root, sizes.ways, arguments.runs):
            print(*row, sep=", ", file=sys.stderr)  # minutes pass before all are there
            table.append(row)
    finally:
        shutil.rmtree(folder)
    header = ("kept as", "times smaller", "write", "read", "extraction", "reduction")
    print(markdown(table, header))
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, zarr {zarr.__version__}"
    print(f"\n{platform.machine()}, {os.cpu_count()} cores; {versions}.")


if __name__ == "__main__":
    main()
