"""What a training returns: snapshots, and the course of each epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

from spanmatch.networks.weights import Weights


@dataclass(frozen=True)
class Snapshot:
    """A network's weights at one moment.

    Attributes
    ----------
    weights
        Parameters and buffers by name.
    accuracy, loss
        On the held-out images: share classified rightly, and mean cross-entropy; None for a network that is
        given and is no classifier.
    epoch
        Finished epochs.
    """

    weights: Weights
    accuracy: float | None
    loss: float | None
    epoch: int


@dataclass(frozen=True)
class Epoch:
    """How one epoch went.

    Attributes
    ----------
    epoch
        Its number, from 1.
    learning_rate
        In its last step.
    training_loss
        Mean cross-entropy over the epoch's steps, of the weights at that step and augmented images.
    held_out_loss, held_out_accuracy
        Of the weights after it.
    """

    epoch: int
    learning_rate: float
    training_loss: float
    held_out_loss: float
    held_out_accuracy: float


@dataclass(frozen=True)
class Trained:
    """A trained network: the checkpoints that were asked for, and every epoch in order."""

    checkpoints: Mapping[str, Snapshot]
    history: tuple[Epoch, ...]
