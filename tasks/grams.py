"""Stage *grams*: the Gram matrix of one layer in two networks, summed over segments of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import TypedDict

from spanmatch import GramMatrix
from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.root import Root, Stage
from tasks.progress import advance
from tasks.unit import Unit


class GramRecord(TypedDict):
    """A stored Gram matrix: the cached result of the stage."""

    path: str
    digest: str


@dataclass(frozen=True)
class SegmentLayer:
    """One layer of one stored segment, with the digest of its content."""

    segment: Artefact
    layer_digest: str


@dataclass(frozen=True)
class GramUnit(Unit):
    """One layer of two networks, over the same segments of images."""

    stage: ClassVar[Stage] = "grams"
    version: ClassVar[int] = 1

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


def reduce_segment(root: Root, layer: str, x: Artefact, y: Artefact) -> GramMatrix:
    """Sum one segment's samples to a Gram matrix, a chunk at a time.

    Raises
    ------
    DamagedArtefactError
        If a chunk is not what was written.
    """
    x_group, y_group = GroupReader(root, x), GroupReader(root, y)
    gram: GramMatrix | None = None
    for block in range(x_group.blocks(layer)):
        x_chunk = x_group.read_block(layer, block)
        y_chunk = y_group.read_block(layer, block)
        x_samples = x_chunk.reshape(-1, x_chunk.shape[-1])
        y_samples = y_chunk.reshape(-1, y_chunk.shape[-1])
        if gram is None:
            gram = GramMatrix.zeros(x_samples.shape[1], y_samples.shape[1])
        gram.update(x_samples, y_samples)
    assert gram is not None, "a segment holds at least one image"
    advance("grams")
    return gram


def add_grams(one: GramMatrix, other: GramMatrix) -> GramMatrix:
    """Add the Gram matrices of different samples."""
    return one + other


def publish_gram(root: Root, unit: GramUnit, gram: GramMatrix) -> GramRecord:
    """Store a layer's whole Gram matrix."""
    target = root.artefact("grams", unit.key)
    with root.publish(target) as folder:
        writer = GroupWriter(
            folder, {"samples": gram.n_samples, "neurons_x": gram.n_x, "neurons_y": gram.n_y}
        )
        writer.write("matrix", gram.matrix)
        writer.write("sums", gram.sums)
        digest = writer.finish()
    return {"path": root.relative(target), "digest": digest}


def read_gram(root: Root, artefact: Artefact) -> GramMatrix:
    """Read a stored Gram matrix.

    Raises
    ------
    DamagedArtefactError
        If it is not what was written.
    """
    group = GroupReader(root, artefact)
    return GramMatrix.from_parts(
        group.read("matrix"), group.read("sums"), group.attributes["samples"], group.attributes["neurons_x"]
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
