"""Stage *networks*: train one network from one seed, and keep its checkpoints."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from typing_extensions import TypedDict

from spanmatch.networks.recipe import Recipe
from storage.checkpoints import write_checkpoint
from storage.digests import json_digest
from storage.root import Root, Stage
from tasks.progress import advance
from tasks.unit import MendableError, Unit


class CheckpointRecord(TypedDict):
    """One checkpoint of a trained network."""

    digest: str
    accuracy: float


class NetworkRecord(TypedDict):
    """A trained network: the cached result of the stage."""

    path: str
    digest: str
    checkpoints: dict[str, CheckpointRecord]


@dataclass(frozen=True)
class NetworkUnit(Unit):
    """One network to train."""

    stage: ClassVar[Stage] = "networks"
    version: ClassVar[int] = 2

    seed: int
    architecture: str
    dataset: str
    dataset_digest: str
    recipe: Recipe

    @property
    def steps(self) -> int:
        """Epochs."""
        return self.recipe.epochs

    def identity(self) -> dict[str, Any]:
        """Return seed, architecture, data and recipe."""
        return {
            "seed": self.seed,
            "architecture": self.architecture,
            "dataset": self.dataset_digest,
            "recipe": asdict(self.recipe),
        }


def train_network(root: Root, unit: NetworkUnit) -> NetworkRecord:
    """Train the network and publish its checkpoints.

    Raises
    ------
    MendableError
        If the training diverges, or an image file is damaged.
    """
    # torch and scikit-learn take seconds to import
    from spanmatch.networks.data import UnreadableImageError, load_dataset
    from spanmatch.networks.training import NonFiniteLossError, train

    try:
        trained = train(
            unit.architecture,
            1.0,
            load_dataset(unit.dataset),
            unit.seed,
            unit.recipe,
            on_epoch=lambda _: advance("networks"),
        )
    except (NonFiniteLossError, UnreadableImageError) as error:
        raise MendableError(f"training {unit.label}: {error}") from None
    records: dict[str, CheckpointRecord] = {}
    target = root.artefact("networks", unit.key)
    with root.publish(target) as folder:
        for name, checkpoint in trained.checkpoints.items():
            metadata = {
                "checkpoint": name,
                "epoch": checkpoint.epoch,
                "accuracy": checkpoint.accuracy,
                "loss": checkpoint.loss,
                **unit.identity(),
            }
            digest = write_checkpoint(folder, name, checkpoint.weights, metadata)
            records[name] = {"digest": digest, "accuracy": checkpoint.accuracy}
    digest = json_digest({name: record["digest"] for name, record in records.items()})
    return {"path": target, "digest": digest, "checkpoints": records}
