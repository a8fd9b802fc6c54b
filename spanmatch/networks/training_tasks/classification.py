"""Classification: one label a sample."""

import torch
from torch.nn import functional

from spanmatch.networks.training_tasks.training_task import Judged, Targets, TrainingTask


def loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Return the mean cross-entropy of logits (samples, classes)."""
    return functional.cross_entropy(logits.float(), targets.labels)


def judge(logits: torch.Tensor, targets: Targets) -> Judged:
    """Return the sum of the cross-entropies, and how many samples have the greatest logit at their label."""
    entropy = functional.cross_entropy(logits.float(), targets.labels, reduction="sum")
    right = torch.count_nonzero(logits.argmax(dim=1) == targets.labels)
    return Judged(entropy.item(), int(right), len(targets.labels))


CLASSIFICATION = TrainingTask(
    name="classification",
    label_dimensions=1,
    answers=lambda labels, _mask: len(labels),
    loss=loss,
    judge=judge,
)
