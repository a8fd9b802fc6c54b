"""What a training task is: the loss that is made small, and how a network is judged by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spanmatch.errors import InputValueError


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
    answers
        How many answers samples ask for, by their labels and by which positions count, None for all.
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
    causal
        Whether what a network is to predict stands at later positions, which it must not see.
    """

    name: str
    label_dimensions: Literal[1, 2]
    answers: Callable[[NDArray[np.int64], NDArray[np.bool_] | None], int]
    loss: Callable[[torch.Tensor, Targets], torch.Tensor]
    judge: Callable[[torch.Tensor, Targets], Judged]
    accuracy: str = "accuracy"
    best: Literal["accuracy", "loss"] = "accuracy"
    perplexity: bool = False
    causal: bool = False

    def require_answers(self, labels: NDArray[np.int64], mask: NDArray[np.bool_] | None, of: str) -> None:
        """See that networks can be judged by labels.

        Parameters
        ----------
        labels
            (samples,), or (samples, positions).
        mask
            (samples, positions): which positions count, None for all.
        of
            What messages call the samples.

        Raises
        ------
        ValueError
            If there are others than the task has, or nothing is asked for.
        """
        if labels.ndim != self.label_dimensions:
            each = "each sample" if self.label_dimensions == 1 else "each position"
            raise InputValueError(
                f"`labels` must be one of {each} for the task {self.name!r}, got the shape "
                f"{labels.shape} in {of}"
            )
        if self.label_dimensions == 2 and mask is not None and mask.shape != labels.shape:
            raise InputValueError(
                f"`mask` must have the shape of the labels, {labels.shape}, for the task {self.name!r}, got "
                f"{mask.shape} in {of}; say of each position that has a label whether it counts"
            )
        if not self.answers(labels, mask):
            raise InputValueError(
                f"`labels` must ask for an answer of the task {self.name!r}, got none in {of}; give "
                "samples in which a position that counts follows another"
            )
