"""Next-token prediction: at each position of a sequence, the token at the next one."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from spanmatch.networks.training_tasks.training_task import Judged, Targets, TrainingTask


def loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Return the mean cross-entropy of logits (sequences, positions, classes) over all that is predicted.

    That is every token that counts and that follows one that counts: padding is neither predicted nor
    predicted from.
    """
    predicted, tokens = _shifted(logits, targets)
    # the mean of no numbers is none: a batch of sequences of one token teaches nothing
    return functional.cross_entropy(predicted, tokens) if len(tokens) else predicted.sum()


def judge(logits: torch.Tensor, targets: Targets) -> Judged:
    """Return the sum of the cross-entropies, and how many tokens are the likeliest by the logits."""
    predicted, tokens = _shifted(logits, targets)
    entropy = functional.cross_entropy(predicted, tokens, reduction="none").double().sum()
    return Judged(entropy.item(), int(torch.count_nonzero(predicted.argmax(dim=1) == tokens)), len(tokens))


def answers(labels: NDArray[np.int64], mask: NDArray[np.bool_] | None) -> int:
    """Return how many tokens are predicted, in sequences (sequences, positions)."""
    return labels[:, 1:].size if mask is None else int((mask[:, 1:] & mask[:, :-1]).sum())


def _shifted(logits: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits (predicted, classes) with the tokens that they are held to, (predicted,)."""
    tokens, mask = targets.labels[:, 1:], targets.mask
    if mask is None:
        return logits[:, :-1].flatten(0, 1).float(), tokens.flatten()
    counts = (mask[:, 1:] & mask[:, :-1]).flatten().nonzero().squeeze(1)
    # taken by numbers: the gradient of taking by a mask has no deterministic algorithm everywhere
    chosen = logits[:, :-1].flatten(0, 1).index_select(0, counts)
    return chosen.float(), tokens.flatten().index_select(0, counts)


NEXT_TOKEN = TrainingTask(
    name="next-token",
    label_dimensions=2,
    answers=answers,
    loss=loss,
    judge=judge,
    accuracy="next-token accuracy",
    best="loss",
    perplexity=True,
    causal=True,
)
