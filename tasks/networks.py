"""Stage *networks*: train one network from one seed, or take over one that is trained; keep checkpoints."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from typing_extensions import TypedDict

from spanmatch import networks
from spanmatch.errors import SpanmatchError
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.recipe import Recipe, epochs_needed
from storage.checkpoints import write_checkpoint
from storage.digests import json_digest
from storage.records import Records
from storage.root import Root
from storage.training_state import TrainingState
from tasks.datasets import load_planned
from tasks.devices import device_of_this_worker
from tasks.progress import advance
from tasks.stage import Cost, Form, Named, Pace, Paces, Result, Stage
from tasks.statistic import Reading
from tasks.unit import Unit
from tasks.wanted import Complete, Wanted, WantedNetwork

_CHECKPOINT_BYTES = 1000  # of a checkpoint's header and record, and of an epoch's record


class CheckpointRecord(TypedDict):
    """One checkpoint of a network, judged on the held-out images where it is a classifier."""

    digest: str
    epoch: int
    accuracy: float | None
    loss: float | None


class EpochRecord(TypedDict):
    """How one epoch of a training went."""

    epoch: int
    learning_rate: float
    training_loss: float
    held_out_loss: float
    held_out_accuracy: float


class NetworkRecord(TypedDict):
    """A stored network. ``history`` is empty where it was not trained here."""

    path: str
    digest: str
    checkpoints: dict[str, CheckpointRecord]
    history: list[EpochRecord]


@dataclass(frozen=True)
class NetworkUnit(Unit):
    """One network: to be trained from `seed` by `recipe`, or to be taken over from the file `weights`.

    Attributes
    ----------
    code
        Digest of the module that builds it, where that is somebody's own.
    keep
        Checkpoints that are wanted. Not part of the identity: others may be kept beside them.
    """

    stage: ClassVar[str] = "networks"
    version: ClassVar[int] = 3

    architecture: str
    code: str
    width: float
    source: DataSource
    dataset_digest: str
    seed: int | None
    recipe: Recipe | None
    mixed_precision: bool
    weights: str | None
    weights_digest: str | None
    keep: tuple[str, ...]
    device: str

    @property
    def seconds(self) -> float:
        """A second for an epoch: only where there are hundreds of networks do several share a job."""
        return 0.2 + self.steps

    @property
    def steps(self) -> int:
        """Epochs."""
        return 1 if self.recipe is None else epochs_needed(self.keep, self.recipe.epochs)

    @property
    def passing(self) -> tuple[Unit, ...]:
        """As of `Unit`."""
        return (self,)

    @property
    def pace(self) -> str:
        """What an epoch depends on."""
        network = [self.architecture, self.code, self.width, self.dataset_digest, self.mixed_precision]
        if self.recipe is None:
            return json_digest(network)
        recipe = self.recipe
        return json_digest([*network, recipe.batch_size, recipe.images, recipe.optimiser, recipe.augment])

    def identity(self) -> dict[str, Any]:
        """Return what the network is built of, and the data and recipe or the weights."""
        network = {"architecture": self.architecture, "code": self.code, "width": self.width}
        if self.recipe is None:
            return {**network, "dataset": self.dataset_digest, "weights": self.weights_digest}
        return {
            **network,
            "dataset": self.dataset_digest,
            "seed": self.seed,
            "recipe": self.recipe.identity(),
            "mixed_precision": self.mixed_precision,
        }

    def accepts(self, record: NetworkRecord) -> bool:
        """Tell whether all checkpoints that are wanted were kept."""
        return set(self.keep) <= record["checkpoints"].keys()


def plan(wanted: Wanted, done: Complete) -> dict[str, NetworkUnit]:  # noqa: ARG001
    """One network for each that is compared."""
    moments: dict[str, set[str]] = defaultdict(set)
    for checkpoint in wanted.checkpoints:
        moments[checkpoint.network].add(checkpoint.moment)
    units = {
        name: _unit(wanted.networks[name], tuple(sorted(moments[name])), wanted.device) for name in moments
    }
    keep: dict[str, set[str]] = defaultdict(set)  # of networks that are one under several names, all moments
    for unit in units.values():
        keep[unit.key].update(unit.keep)
    return {name: replace(unit, keep=tuple(sorted(keep[unit.key]))) for name, unit in units.items()}


def _unit(network: WantedNetwork, keep: tuple[str, ...], device: str) -> NetworkUnit:
    known = {name: getattr(network, name) for name in WantedNetwork.__dataclass_fields__ if name != "shown"}
    return NetworkUnit(label=network.shown, keep=keep, device=device, **known)


def compute(root: Root, units: Sequence[NetworkUnit], reading: Reading) -> list[Result]:  # noqa: ARG001
    """Train the network, or read its weights, and publish its checkpoints; keep what earlier runs kept too.

    A training that was killed goes on after its last finished epoch.

    Raises
    ------
    SpanmatchError
        If the training diverges, an image file is damaged, or weights do not fit.
    """
    (unit,) = units
    earlier = Records(root).find(STAGE.name, [unit.key]).get(unit.key)
    if earlier is not None:
        unit = replace(unit, keep=tuple(sorted({*unit.keep, *earlier.record["checkpoints"]})))
    trained = _taken_over(unit) if unit.recipe is None else _trained(root, unit, unit.recipe)
    records = {
        name: _publish_checkpoint(root, unit, name, checkpoint)
        for name, checkpoint in trained.checkpoints.items()
    }
    TrainingState(root, unit.key).discard()
    record: NetworkRecord = {
        "path": STAGE.place(unit.key, unit.key),
        "digest": json_digest({name: record["digest"] for name, record in records.items()}),
        "checkpoints": records,
        "history": [cast("EpochRecord", asdict(epoch)) for epoch in trained.history],
    }
    return [Result(unit, cast("dict[str, Any]", record))]


def _trained(root: Root, unit: NetworkUnit, recipe: Recipe) -> "networks.Trained":
    assert unit.seed is not None
    networks.require_same_code(unit.architecture, unit.code)
    device = device_of_this_worker(unit.device)
    if unit.mixed_precision and device == "cpu":
        raise SpanmatchError(
            "`mixed_precision` must be false without a CUDA device, got true on a worker without; leave "
            "it out, or see to the GPU"
        )
    try:
        return networks.train(
            unit.architecture,
            unit.width,
            load_planned(unit.source, unit.dataset_digest, "whole"),
            unit.seed,
            recipe,
            keep=unit.keep,
            device=device,
            mixed_precision=unit.mixed_precision,
            resume=TrainingState(root, unit.key),
            on_epoch=lambda epoch: advance("networks", unit.key, epoch.epoch),
        )
    except (networks.NonFiniteLossError, networks.UnreadableImageError) as error:
        raise SpanmatchError(f"training {unit.label}: {error}") from None


def _taken_over(unit: NetworkUnit) -> "networks.Trained":
    assert unit.weights is not None
    networks.require_same_code(unit.architecture, unit.code)
    dataset = load_planned(unit.source, unit.dataset_digest, "whole")
    network = networks.build(unit.architecture, dataset.held_out.shape, dataset.classes, unit.width)
    try:
        networks.fit_weights(network, networks.read_weights(Path(unit.weights).expanduser()))
    except networks.WeightsError as error:
        raise SpanmatchError(f"{unit.label}: {error}") from None
    device = device_of_this_worker(unit.device)
    found = networks.judge(network.to(device), dataset, device)
    advance("networks", unit.key, 1)
    accuracy, loss = (None, None) if found is None else found
    final = networks.Snapshot(networks.weights_of(network), accuracy, loss, epoch=0)
    return networks.Trained({"final": final}, history=())


def _publish_checkpoint(
    root: Root, unit: NetworkUnit, name: str, checkpoint: "networks.Snapshot"
) -> CheckpointRecord:
    epoch, accuracy, loss = checkpoint.epoch, checkpoint.accuracy, checkpoint.loss
    metadata = {
        "checkpoint": name,
        "epoch": epoch,
        "accuracy": accuracy,
        "loss": loss,
        **unit.identity(),
    }
    digest = write_checkpoint(root, STAGE.place(unit.key, unit.key), name, checkpoint.weights, metadata)
    return {"digest": digest, "epoch": epoch, "accuracy": accuracy, "loss": loss}


def measure_pace(unit: NetworkUnit) -> Pace:
    """Measure what an epoch takes, or of weights that are given, what judging them does."""
    dataset = load_planned(unit.source, unit.dataset_digest, "whole")
    return Pace(*networks.epoch_cost(unit.architecture, unit.width, dataset, unit.recipe, unit.device))


def cost(wanted: Wanted, group: Named, paces: Paces) -> Cost:  # noqa: ARG001
    """Reckon with checkpoints, and with epochs as they were timed."""
    ((_, unit),) = group
    pace = paces[unit.pace]
    written = len(unit.keep) * pace.weights + _CHECKPOINT_BYTES * (len(unit.keep) + unit.steps)
    return Cost(written, seconds=pace.seconds * unit.steps)


def foreseen(unit: NetworkUnit) -> dict[str, Any]:
    """Return a record of checkpoints that are not there yet."""
    checkpoints = {
        name: {"digest": f"foreseen {unit.key} {name}", "epoch": 0, "accuracy": None, "loss": None}
        for name in unit.keep
    }
    digest = f"foreseen {unit.key}"
    return {
        "path": STAGE.place(unit.key, unit.key),
        "digest": digest,
        "checkpoints": checkpoints,
        "history": [],
    }


def _bar(wanted: Wanted) -> str:
    given = any(network.recipe is None for network in wanted.networks.values())
    if not given:
        return "train networks (epochs)"
    if any(network.recipe is not None for network in wanted.networks.values()):
        return "train networks, take over others (epochs, files)"
    return "take networks over (files)"


STAGE = Stage(
    name="networks",
    verb="train",
    bar=_bar,
    record=NetworkRecord,
    form=Form.FOLDER,
    plan=plan,
    compute=compute,
    cost=cost,
    foreseen=foreseen,
    measure_pace=measure_pace,
    inside=r"[^/]+\.safetensors",
)
