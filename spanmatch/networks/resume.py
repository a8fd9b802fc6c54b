"""The whole state of a training after an epoch, as arrays and JSON.

Holds all that its future depends on: weights, the optimiser's moments, random generators, what was kept.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.networks.determinism import random_state, set_random_state
from spanmatch.networks.outcome import Epoch, Snapshot
from spanmatch.networks.weights import Weights

# What AdamW counts on the host, wherever its parameters are.
_STEPS = "step"

Arrays = Mapping[str, NDArray[Any]]
Values = Mapping[str, Any]


class ResumeStore(Protocol):
    """Keeps the newest state of one training; the caller's, so that networks know no storage."""

    def save(self, epoch: int, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        """Replace what is kept, as a whole or not at all: arrays by name, and JSON values."""

    def load(self) -> tuple[int, Arrays, Values] | None:
        """Return what was saved last, or None."""


@dataclass
class State:
    """All that a training's future depends on, while it runs.

    Attributes
    ----------
    network, optimiser, device
        What is trained, with what, where.
    question
        What the training was asked for, as JSON: a state saved for another question is not taken.
    checkpoints, history
        What has been kept so far.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    device: str
    question: dict[str, Any]
    checkpoints: dict[str, Snapshot] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)

    def save(self, store: ResumeStore) -> None:
        """Hand the state to a store."""
        arrays = {f"network/{name}": values for name, values in weights_of(self.network).items()}
        for name, parameter in self.network.named_parameters():
            for kind, remembered in self.optimiser.state[parameter].items():
                if remembered is not None:  # SGD without momentum
                    arrays[f"optimiser/{kind}/{name}"] = remembered.cpu().numpy().copy()
        for name, generator in random_state(self.device).items():
            arrays[f"random/{name}"] = generator.numpy().copy()
        checkpoints = {}
        for label, kept in self.checkpoints.items():
            arrays |= {f"checkpoint/{label}/{name}": values for name, values in kept.weights.items()}
            checkpoints[label] = {"accuracy": kept.accuracy, "loss": kept.loss, "epoch": kept.epoch}
        values = {
            "question": self.question,
            "checkpoints": checkpoints,
            "history": [asdict(epoch) for epoch in self.history],
        }
        store.save(len(self.history), arrays, values)

    def restore(self, store: ResumeStore) -> None:
        """Take over what a store has of this training, if anything."""
        found = store.load()
        if found is None or found[2]["question"] != self.question:
            return
        _, arrays, values = found
        set_weights(self.network, _below("network", arrays))
        parameters = dict(self.network.named_parameters())
        for place, buffer in _below("optimiser", arrays).items():
            kind, _, name = place.partition("/")
            device = "cpu" if kind == _STEPS else self.device
            self.optimiser.state[parameters[name]][kind] = torch.tensor(buffer, device=device)
        set_random_state({name: torch.tensor(state) for name, state in _below("random", arrays).items()})
        self.checkpoints = {
            label: Snapshot(_below(f"checkpoint/{label}", arrays), **kept)
            for label, kept in values["checkpoints"].items()
        }
        self.history = [Epoch(**epoch) for epoch in values["history"]]


def weights_of(network: nn.Module) -> Weights:
    """Copy a network's parameters and buffers, without further state that is no tensor."""
    return {
        name: values.detach().cpu().numpy().copy()
        for name, values in network.state_dict().items()
        if isinstance(values, torch.Tensor)
    }


def set_weights(network: nn.Module, weights: Weights) -> None:
    """Put parameters and buffers into a network, wherever it is."""
    others = {
        name: values for name, values in network.state_dict().items() if not isinstance(values, torch.Tensor)
    }
    network.load_state_dict({**others, **{name: torch.tensor(values) for name, values in weights.items()}})


def _below(prefix: str, arrays: Arrays) -> Weights:
    start = f"{prefix}/"
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
