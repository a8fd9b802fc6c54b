"""What a training task is: the loss that is made small, and how a network is judged by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Literal, NamedTuple

import torch


class Targets(NamedTuple):
    """What a network's output for some samples is held to.

    Attributes
    ----------
    labels
        (samples,), or (samples, positions): int64, on the output's device.
    mask
        (samples, positions), bool: which positions count; None for all.
    """

    labels: torch.Tensor
    mask: torch.Tensor | None = None


class Judged(NamedTuple):
    """Sums over some samples: of losses, of right answers, and of all answers."""

    loss: float
    right: int
    answers: int


@dataclass(frozen=True)
class TrainingTask:
    """A task that networks are trained for and judged by.

    Attributes
    ----------
    name
        In data sets that are of it.
    label_dimensions
        1 where a sample has one label, 2 where each of its positions has.
    logits_shape
        Given the labels' shape and the number of classes: the shape of the output that a network must give.
    loss
        Mean loss of logits, as a tensor that gradients flow from.
    judge
        Sums of the same over some samples, in double precision where sums are long.
    accuracy
        What people call the share of right answers.
    best
        Whether the best checkpoint is that of the highest accuracy or of the lowest loss.
    perplexity
        Whether people look at the exponential of the loss.
    """

    name: str
    label_dimensions: Literal[1, 2]
    logits_shape: Callable[[tuple[int, ...], int], tuple[int, ...]]
    loss: Callable[[torch.Tensor, Targets], torch.Tensor]
    judge: Callable[[torch.Tensor, Targets], Judged]
    accuracy: str = "accuracy"
    best: Literal["accuracy", "loss"] = "accuracy"
    perplexity: bool = False


def logits_of(output: object) -> object:
    """Return what a network gives as logits: its output, or ``logits`` of a dictionary or dataclass.

    Not of a named tuple: some have logits of further heads beside them, which the loss is to hold, too.
    """
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return getattr(output, "logits", output) if is_dataclass(output) else output
