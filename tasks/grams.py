"""Stage *grams*: the Gram matrix of one layer in two networks, summed over segments of images.

A fold: each segment's own sum, a tree of pieces, is added to that of all the segments before it. So the Gram
matrix over fewer segments is a stop on the way, and further images cost only their own reduction.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch import GramMatrix
from spanmatch.errors import SpanmatchError
from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.root import Root, Stage
from tasks.progress import advance
from tasks.unit import Unit


class GramRecord(TypedDict):
    """A stored Gram matrix: the cached result of the stage."""

    path: str
    digest: str


Samples = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]
"""Both sides of a chunk, (samples, neurons)."""

# Chunks in one piece of a reduction: a second of one core's time at 512 neurons a side.
_PIECE_BLOCKS = 8


@dataclass(frozen=True)
class SegmentLayer:
    """One layer of one stored segment, with the digest of its content and the number of its chunks."""

    segment: Artefact
    layer_digest: str
    blocks: int


@dataclass(frozen=True)
class GramUnit(Unit):
    """One layer of two networks, over the same segments of images."""

    stage: ClassVar[Stage] = "grams"
    version: ClassVar[int] = 2

    layer: str
    x: tuple[SegmentLayer, ...]
    y: tuple[SegmentLayer, ...]

    @property
    def steps(self) -> int:
        """Segments."""
        return len(self.x)

    def identity(self) -> dict[str, Any]:
        """Return the content of both sides' activations."""
        return {
            "x": [part.layer_digest for part in self.x],
            "y": [part.layer_digest for part in self.y],
        }


def prefixes(unit: GramUnit) -> list[GramUnit]:
    """Return the units of all but the last segments, the most segments first."""
    return [replace(unit, x=unit.x[:count], y=unit.y[:count]) for count in range(len(unit.x) - 1, 0, -1)]


def pieces(blocks: int) -> list[range]:
    """Cut a segment's chunks into what one piece of work reduces: a function of their number alone."""
    return [range(start, min(start + _PIECE_BLOCKS, blocks)) for start in range(0, blocks, _PIECE_BLOCKS)]


def reduce_blocks(root: Root, layer: str, x: Artefact, y: Artefact, blocks: range) -> GramMatrix:
    """Sum some chunks of a segment to a Gram matrix, one after the other.

    Raises
    ------
    DamagedArtefactError
        If a chunk is not what was written.
    """
    gram: GramMatrix | None = None
    for x_samples, y_samples in _read_ahead(root, layer, x, y, blocks):
        if gram is None:
            gram = GramMatrix.zeros(x_samples.shape[1], y_samples.shape[1])
        gram.update(x_samples, y_samples)
    assert gram is not None, "a piece holds at least one chunk"
    if blocks.start == 0:
        advance("grams", f"{x.key} {y.key}", 1)
    return gram


def _read_ahead(root: Root, layer: str, x: Artefact, y: Artefact, blocks: range) -> Iterator[Samples]:
    """Yield both sides of chunk after chunk, the next being read while one is in use."""
    x_group, y_group = GroupReader(root, x), GroupReader(root, y)

    def read(block: int) -> Samples:
        return counted(
            layer, _samples(x_group.read_block(layer, block)), _samples(y_group.read_block(layer, block))
        )

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read, blocks[0])
        for block in blocks[1:]:
            samples = coming.result()
            coming = thread.submit(read, block)
            yield samples
        yield coming.result()


def counted(layer: str, x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> Samples:
    """Return the samples that count: positions that do not are not a number.

    Raises
    ------
    SpanmatchError
        If the two networks leave out different ones.
    """
    left_out, also = np.isnan(x[:, 0]), np.isnan(y[:, 0])
    if not np.array_equal(left_out, also):
        raise SpanmatchError(
            f"`layers` must have the same padding in both networks, but {layer!r} leaves out "
            f"{np.count_nonzero(left_out)} positions in one and {np.count_nonzero(also)}, or others, in the "
            "other; say which positions count with the `mask` of the data set's images"
        )
    return (x[~left_out], y[~left_out]) if left_out.any() else (x, y)


def _samples(chunk: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Lay out (image, position, neuron) as (sample, neuron); what was kept in 16 bits is exact in 32."""
    samples = chunk.reshape(-1, chunk.shape[-1])
    return samples.astype(np.float32) if samples.dtype == np.float16 else samples


def add_grams(one: GramMatrix, other: GramMatrix) -> GramMatrix:
    """Add the Gram matrices of different samples."""
    return one + other


def publish_gram(root: Root, unit: GramUnit, gram: GramMatrix) -> GramRecord:
    """Store the Gram matrix over all of a unit's segments."""
    target = root.artefact("grams", unit.key)
    with root.publish(target) as folder:
        attributes = {"samples": gram.n_samples, "neurons_x": gram.n_x, "neurons_y": gram.n_y}
        writer = GroupWriter(folder, attributes | {"roundings": gram.roundings})
        writer.write("matrix", gram.matrix)
        writer.write("sums", gram.sums)
        digest = writer.finish()
    return {"path": target, "digest": digest}


def read_gram(root: Root, artefact: Artefact) -> GramMatrix:
    """Read a stored Gram matrix.

    Raises
    ------
    DamagedArtefactError
        If it is not what was written.
    """
    group = GroupReader(root, artefact)
    return GramMatrix.from_parts(
        group.read("matrix"),
        group.read("sums"),
        group.attributes["samples"],
        group.attributes["neurons_x"],
        group.attributes.get("roundings"),
    )


def tree_pairs(count: int) -> Sequence[tuple[int, int]]:
    """Return which partial sums to add, in which order: pairs (i, j) meaning ``i += j``, ending in 0.

    The order depends on nothing but their number, so that the sum has the same bits in every run.
    """
    pairs: list[tuple[int, int]] = []
    step = 1
    while step < count:
        pairs.extend((i, i + step) for i in range(0, count - step, 2 * step))
        step *= 2
    return pairs
