"""Stage *segments*: one layer's activations of one checkpoint for one range of images, as a Zarr group."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

from spanmatch import networks
from spanmatch.errors import SpanmatchError
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.precision import StoredDtype
from storage.arrays import GroupWriter
from storage.checkpoints import read_checkpoint
from storage.digests import json_digest
from storage.layout import plan_layout
from storage.root import Artefact, Root
from tasks.datasets import load_planned
from tasks.devices import device_of_this_worker
from tasks.garbage import collect
from tasks.networks import NetworkUnit
from tasks.progress import advance
from tasks.stage import GROUP, Cost, Form, Named, Pace, Paces, Result, Stage
from tasks.statistic import Reading
from tasks.unit import Unit
from tasks.wanted import Checkpoint, Complete, Side, Wanted
from tasks.writing import WAITING_BYTES, BackgroundWriter, LayerWriter

# Beside activations: an image's name, twice, as text; what describes a group and its array; a chunk's digest.
_IMAGE_BYTES = 43
_GROUP_BYTES = 1350
_BLOCK_BYTES = 75
_BYTES_PER_SECOND = 5e8  # rounded, digested and written


class SegmentRecord(TypedDict):
    """A stored segment. ``content`` digests the activations alone, and ``blocks`` counts their chunks."""

    path: str
    digest: str
    content: str
    blocks: int


class SegmentName(NamedTuple):
    """What a segment stands for: one layer of a network at a moment, for the images from `start` on."""

    layer: str
    checkpoint: Checkpoint
    start: int


@dataclass(frozen=True)
class SegmentUnit(Unit):
    """One layer's activations, for one range of images through one checkpoint.

    A forward pass gives all layers: the units of one pass are one group.
    """

    stage: ClassVar[str] = "segments"
    version: ClassVar[int] = 4

    network: Artefact
    checkpoint: str
    architecture: str
    code: str
    width: float
    source: DataSource
    dataset_digest: str
    layer: str
    start: int
    stop: int
    positions: int | Literal["all", "mean"]
    positions_seed: int
    dtype: StoredDtype
    device: str
    neurons: Literal["last"] | int | None = None

    @property
    def steps(self) -> int:
        """Images."""
        return self.stop - self.start

    @property
    def seconds(self) -> float:
        """Most of it is the forward pass, of which the network alone would know more."""
        return 0.05 + 2e-4 * self.steps

    @property
    def passing(self) -> tuple[Unit, ...]:
        """As of `Unit`."""
        return (self,)

    @property
    def pace(self) -> str:
        """The network and what passes through it."""
        return json_digest([self.architecture, self.code, self.width, self.dataset_digest])

    @property
    def group(self) -> str:
        """Digest of what the layers of one forward pass have in common."""
        return json_digest({"network": self.network.key, **self._pass_identity()})

    @property
    def counted(self) -> str:
        """The forward pass."""
        return self.group

    @property
    def group_label(self) -> str:
        """What people call the forward pass."""
        return self.label.removesuffix(f" · {self.layer}")

    def identity(self) -> dict[str, Any]:
        """Return weights, architecture, layer and images."""
        dimension = {} if self.neurons is None else {"neurons": self.neurons}
        return {**self._pass_identity(), "layer": self.layer, **dimension}

    def _pass_identity(self) -> dict[str, Any]:
        sampled = isinstance(self.positions, int)
        return {
            "checkpoint": self.network.digest,
            "architecture": self.architecture,
            "code": self.code,
            "width": self.width,
            "dataset": self.dataset_digest,
            "images": [self.start, self.stop],
            "positions": [self.positions, self.positions_seed] if sampled else self.positions,
            "dtype": self.dtype,
        }


def plan(wanted: Wanted, done: Complete) -> dict[SegmentName, SegmentUnit]:
    """Plan one segment for each checkpoint, range of images and layer; none for what is streamed."""
    return {} if wanted.streams else passes(wanted, done)


def passes(wanted: Wanted, done: Complete) -> dict[SegmentName, SegmentUnit]:
    """Return what of a network passes for each checkpoint, range of images and layer."""
    units: dict[SegmentName, SegmentUnit] = {}
    for checkpoint in wanted.checkpoints:
        if (network := done["networks"].get(checkpoint.network)) is None:
            continue
        unit = cast("NetworkUnit", network.unit)
        digest = network.record["checkpoints"][checkpoint.moment]["digest"]
        for (start, stop), layer in product(wanted.segments, wanted.sides[checkpoint]):
            forward = f"{unit.label} · {checkpoint.moment} · {wanted.items} {start}-{stop - 1}"
            units[SegmentName(layer.name, checkpoint, start)] = SegmentUnit(
                label=f"{forward} · {layer.name}",
                network=replace(network.artefact, digest=digest),
                checkpoint=checkpoint.moment,
                architecture=unit.architecture,
                code=unit.code,
                width=unit.width,
                source=wanted.source,
                dataset_digest=wanted.held_out_digest,
                layer=layer.name,
                neurons=layer.neuron_dimension,
                start=start,
                stop=stop,
                positions=wanted.positions,
                positions_seed=wanted.positions_seed,
                dtype=wanted.dtype,
                device=wanted.device,
            )
    return units


def compute(root: Root, units: Sequence[SegmentUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Pass the images through the network once, and publish the activations of each unit's layer.

    Raises
    ------
    SpanmatchError
        If a layer gives NaN or infinity, or values beyond what `dtype` can hold, or an image file is damaged.
    DamagedArtefactError
        If the checkpoint is not what was written.
    """
    with ExitStack() as publishing:
        writers = _written(root, units, publishing)
        collect()
        return [_result(unit, writers[unit.layer]) for unit in units]


def passed(
    root: Root,
    units: Sequence[SegmentUnit],
    images: "networks.AnySamples",
    on_layer: Callable[[str, NDArray[Any]], None] = lambda _layer, _values: None,
) -> Iterator[dict[str, NDArray[Any]]]:
    """Pass images through the network of a group, and yield the activations of each unit's layer.

    Parameters
    ----------
    root
        Where the network is.
    units
        Of one group.
    images
        As `images_of` gives them, or some of them.
    on_layer
        As `spanmatch.networks.extract`.

    Raises
    ------
    SpanmatchError
        If a layer gives NaN or infinity, or values beyond what `dtype` can hold, or an image file is damaged.
    DamagedArtefactError
        If the checkpoint is not what was written.
    """
    one = units[0]
    networks.require_same_code(one.architecture, one.code)
    dataset = load_planned(one.source, one.dataset_digest, "held-out")
    network = networks.build(one.architecture, dataset.held_out.shape, dataset.classes, one.width)
    networks.fit_weights(network, read_checkpoint(root, one.network, one.checkpoint))
    try:
        yield from networks.extract(
            network,
            [unit.layer for unit in units],
            images,
            neurons={unit.layer: unit.neurons for unit in units if unit.neurons is not None},
            positions=one.positions,
            position_seed=one.positions_seed,
            dtype=one.dtype,
            device=device_of_this_worker(one.device),
            on_layer=on_layer,
        )
    except networks.NonFiniteActivationsError as error:
        message = (
            f"the activations of {one.group_label} must be finite, but {error}; lower "
            "`training.learning_rate`, or leave that network out"
        )
        raise SpanmatchError(message) from None
    except (networks.Float16OverflowError, networks.UnreadableImageError) as error:
        raise SpanmatchError(f"{one.group_label}: {error}") from None


def measure_pace(unit: SegmentUnit) -> Pace:
    """Measure what an image takes that passes through the network."""
    dataset = load_planned(unit.source, unit.dataset_digest, "held-out")
    return Pace(*networks.pass_cost(unit.architecture, unit.width, dataset, unit.device))


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:
    """Reckon with activations as they are, beside names of images and digests of chunks."""
    written = waiting = shards = 0
    for name, unit in group:
        layer, itemsize = wanted.layer_of(Side(name.layer, name.checkpoint)), np.dtype(unit.dtype).itemsize
        layout = plan_layout((unit.steps, layer.positions, layer.neurons), itemsize)
        image = layer.positions * layer.neurons * itemsize
        blocks = -(-unit.steps // layout.chunk_rows)
        whole = blocks * layout.chunk_rows * image  # the last chunk is as large as others
        written += whole + unit.steps * _IMAGE_BYTES + _GROUP_BYTES + _BLOCK_BYTES * blocks
        shards += min(layout.shard_rows, unit.steps) * image
        waiting += unit.steps * layer.positions * layer.neurons * 4
    _, one = group[0]
    pace = paces[one.pace]
    memory = shards + min(waiting, WAITING_BYTES)
    return Cost(written, 0, memory, pace.seconds * one.steps + written / _BYTES_PER_SECOND)


def foreseen(unit: SegmentUnit) -> dict[str, Any]:
    """Return a record of a segment that is not there yet."""
    key = f"foreseen {unit.key}"
    return {"path": STAGE.place(unit.key, unit.key), "digest": key, "content": key, "blocks": 1}


def images_of(unit: SegmentUnit) -> "networks.AnySamples":
    """Return the images of a unit."""
    dataset = load_planned(unit.source, unit.dataset_digest, "held-out")
    return dataset.held_out.slice(unit.start, unit.stop)


def _written(root: Root, units: Sequence[SegmentUnit], publishing: ExitStack) -> dict[str, LayerWriter]:
    one = units[0]
    images = images_of(one)
    writers = {
        unit.layer: LayerWriter(
            GroupWriter(publishing.enter_context(_publication(root, unit)), _attributes(unit, images.ids)),
            unit.layer,
            len(images),
            unit.dtype,
        )
        for unit in units
    }
    with BackgroundWriter() as background:
        done = 0

        def on_layer(layer: str, values: NDArray[Any]) -> None:
            writers[layer].append(values, background)

        for batch in passed(root, units, images, on_layer):
            done += len(batch[one.layer])
            advance("segments", one.group, done)
    return writers


def _publication(root: Root, unit: SegmentUnit) -> AbstractContextManager[Path]:
    return root.publish(STAGE.place(unit.key, unit.key))


def _attributes(unit: SegmentUnit, image_ids: Sequence[str]) -> dict[str, Any]:
    """Return what a person who opens the group alone wants to know."""
    ids = list(image_ids)
    return {
        "layer": unit.layer,
        "dtype": unit.dtype,
        "checkpoint": unit.network.digest,
        "architecture": unit.architecture,
        "positions": unit.positions,
        "image_ids": ids,
        "image_ids_digest": json_digest(ids),
    }


def _result(unit: SegmentUnit, writer: LayerWriter) -> Result:
    record: SegmentRecord = {
        "path": STAGE.place(unit.key, unit.key),
        "digest": writer.group.finish(),
        "content": writer.group.array_digests()[unit.layer],
        "blocks": writer.blocks,
    }
    return Result(unit, cast("dict[str, Any]", record))


STAGE = Stage(
    name="segments",
    verb="extract",
    bar=lambda wanted: f"extract activations ({wanted.items})",
    record=SegmentRecord,
    form=Form.FOLDER,
    plan=plan,
    compute=compute,
    cost=cost,
    foreseen=foreseen,
    measure_pace=measure_pace,
    suffix=".zarr",
    inside=GROUP,
)
