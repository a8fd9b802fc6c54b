"""Stage *segments*: the activations of one checkpoint for one range of images, as a Zarr group."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from storage.arrays import GroupWriter
from storage.checkpoints import read_checkpoint
from storage.root import Root, Stage
from tasks.progress import advance
from tasks.unit import MendableError, Unit

# Samples in one chunk of a stored layer: 16 MiB at 512 float32 neurons, small beside a worker's memory.
_CHUNK_SAMPLES = 8192


class UnusableActivationsError(MendableError):
    """A network's activations are not finite: nothing can be said of its representation."""


class SegmentRecord(TypedDict):
    """A stored segment: the cached result of the stage. ``layers`` holds each layer's content digest."""

    path: str
    digest: str
    layers: dict[str, str]


@dataclass(frozen=True)
class SegmentUnit(Unit):
    """One range of images through one checkpoint."""

    stage: ClassVar[Stage] = "segments"
    version: ClassVar[int] = 1

    network_key: str
    checkpoint: str
    checkpoint_digest: str
    architecture: str
    dataset: str
    dataset_digest: str
    layers: tuple[str, ...]
    start: int
    stop: int

    @property
    def steps(self) -> int:
        """Images."""
        return self.stop - self.start

    def identity(self) -> dict[str, Any]:
        """Return weights, architecture, layers and images."""
        return {
            "checkpoint": self.checkpoint_digest,
            "architecture": self.architecture,
            "dataset": self.dataset_digest,
            "layers": list(self.layers),
            "images": [self.start, self.stop],
            "positions": "all",
        }


def extract_segment(root: Root, unit: SegmentUnit) -> SegmentRecord:
    """Pass the images through the network and publish the layers' activations.

    Raises
    ------
    UnusableActivationsError
        If a layer gives NaN or infinity.
    MendableError
        If an image file is damaged.
    DamagedArtefactError
        If the checkpoint is not what was written.
    """
    from spanmatch.networks.activations import NonFiniteActivationsError, extract  # torch: seconds to import
    from spanmatch.networks.architectures import build
    from spanmatch.networks.data import UnreadableImageError, load_dataset
    from spanmatch.networks.training import load_weights

    weights = read_checkpoint(root, unit.network_key, unit.checkpoint, unit.checkpoint_digest)
    network = load_weights(build(unit.architecture), weights)
    images = load_dataset(unit.dataset).held_out.slice(unit.start, unit.stop)
    target = root.artefact("segments", unit.key)
    with root.publish(target) as folder:
        layers = _LayerWriter(GroupWriter(folder, {"image_ids": list(images.ids)}), len(images))
        try:
            for batch in extract(network, unit.layers, images):
                for layer, values in batch.items():
                    layers.append(layer, values)
                advance("segments", len(values))
        except NonFiniteActivationsError as error:
            message = (
                f"the activations of {unit.label} must be finite, but {error}; lower "
                "`training.learning_rate`, or leave that seed out"
            )
            raise UnusableActivationsError(message) from None
        except UnreadableImageError as error:
            raise MendableError(f"{unit.label}: {error}") from None
        layers.flush()
        digest = layers.writer.finish()
    return {"path": root.relative(target), "digest": digest, "layers": layers.writer.array_digests()}


class _LayerWriter:
    """Gathers batches of activations to whole chunks, and writes those."""

    def __init__(self, writer: GroupWriter, images: int) -> None:
        self.writer = writer
        self._images = images
        self._rows: dict[str, int] = {}
        self._written: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, NDArray[np.float32]] = {}

    def append(self, layer: str, values: NDArray[np.float32]) -> None:
        if layer not in self._rows:
            _, positions, neurons = values.shape
            self._rows[layer] = max(1, _CHUNK_SAMPLES // positions)
            self.writer.create(
                layer,
                (self._images, positions, neurons),
                "float32",
                block_rows=min(self._rows[layer], self._images),
                dimensions=("image", "position", "neuron"),
            )
            self._waiting[layer] = values[:0]
        self._waiting[layer] = np.concatenate([self._waiting[layer], values])
        while len(self._waiting[layer]) >= self._rows[layer]:
            self._write(layer, self._rows[layer])

    def flush(self) -> None:
        for layer, values in self._waiting.items():
            if len(values):
                self._write(layer, len(values))

    def _write(self, layer: str, rows: int) -> None:
        self.writer.write_block(layer, self._written[layer], self._waiting[layer][:rows])
        self._waiting[layer] = self._waiting[layer][rows:]
        self._written[layer] += 1
