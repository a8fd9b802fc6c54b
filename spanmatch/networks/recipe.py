"""How a network is trained and which checkpoints are kept, as plain numbers and names.

Must not load torch: planning a study needs recipes.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from spanmatch.errors import InputValueError

Schedule = Literal["one-cycle", "step"]
Augmentation = Literal["crop", "flip"]
Optimiser = Literal["sgd", "adamw"]

CHECKPOINTS = ("initial", "best", "final")

# One-cycle: how the rate rises and falls, as torch's OneCycleLR has it by default.
_RISING_SHARE = 0.3
_FIRST_DIVISOR = 25.0
_LAST_DIVISOR = 1e4
# Step: what each milestone multiplies the rate with.
_DROP = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: by SGD with momentum and weight decay, or by AdamW.

    Attributes
    ----------
    epochs, batch_size
        Passes over the training images, and images in a step.
    learning_rate
        The schedule's highest.
    momentum, weight_decay
        As in stochastic gradient descent; of AdamW, beta 1 and the decoupled decay.
    schedule
        ``"one-cycle"``: a rise and a fall, for short trainings; ``"step"``: a tenth after each milestone.
    milestones
        Of ``"step"``: numbers of finished epochs; None for half and three quarters of them.
    augment
        ``"crop"``: a random window of the image padded with black by an eighth of its height (4 pixels of
        32) on each side; ``"flip"``: left and right exchanged for half of the images. None by default.
    images
        Train on so many of the training samples, evenly spread over them; None for all.
    optimiser
        ``"sgd"``, or ``"adamw"`` (Loshchilov and Hutter, arXiv 1711.05101), with beta 2 of 0.99.

    Raises
    ------
    ValueError
        If a name is unknown, a number is out of range, or a milestone is no epoch of the training.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: Schedule = "one-cycle"
    milestones: tuple[int, ...] | None = None
    augment: tuple[Augmentation, ...] = ()
    images: int | None = None
    optimiser: Optimiser = "sgd"

    def __post_init__(self) -> None:
        if self.optimiser not in (known := get_args(Optimiser)):
            names = " or ".join(f'"{name}"' for name in known)
            raise InputValueError(f"`optimiser` must be {names}, got {self.optimiser!r}")
        self._require_numbers()
        if self.schedule not in ("one-cycle", "step"):
            raise InputValueError(f'`schedule` must be "one-cycle" or "step", got {self.schedule!r}')
        if not {"crop", "flip"}.issuperset(self.augment):
            raise InputValueError(
                f'`augment` must hold "crop", "flip", both or none, got {list(self.augment)}'
            )
        if self.milestones is None:
            return
        if self.schedule == "one-cycle":
            message = (
                f"`milestones` must be left out with the one-cycle schedule, got {list(self.milestones)}; "
                "set `schedule` to step"
            )
            raise InputValueError(message)
        if any(not 1 <= milestone < self.epochs for milestone in self.milestones):
            message = (
                f"`milestones` must lie between 1 and {self.epochs - 1}, before the last of {self.epochs} "
                f"epochs, got {list(self.milestones)}"
            )
            raise InputValueError(message)

    def _require_numbers(self) -> None:
        rules = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "positive and finite"),
            "momentum": (0 <= self.momentum < 1, "at least 0 and below 1"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "at least 0 and finite"),
        }
        for name, (kept, rule) in rules.items():
            if not kept:
                raise InputValueError(f"`{name}` must be {rule}, got {getattr(self, name)!r}; correct it")

    def identity(self) -> dict[str, Any]:
        """Return what determines the weights, as JSON; without an optimiser where it is the usual one."""
        values = asdict(self)
        if self.optimiser == Recipe.optimiser:  # as it was before there was another: networks keep their keys
            del values["optimiser"]
        return values

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0 over the whole training."""
        if self.schedule == "step":
            return self.learning_rate * _DROP ** sum(
                step >= milestone * steps_per_epoch for milestone in self._milestones()
            )
        last = self.epochs * steps_per_epoch - 1
        top = _RISING_SHARE * (last + 1) - 1
        first_rate = self.learning_rate / _FIRST_DIVISOR
        if step <= top and top > 0:
            return _cosine(first_rate, self.learning_rate, step / top)
        top = max(top, 0.0)
        share = (step - top) / (last - top) if last > top else 0.0
        return _cosine(self.learning_rate, first_rate / _LAST_DIVISOR, share)

    def _milestones(self) -> set[int]:
        if self.milestones is not None:
            return set(self.milestones)
        return {milestone for milestone in (self.epochs // 2, self.epochs * 3 // 4) if milestone}


def require_checkpoints(names: Iterable[str], epochs: int) -> None:
    """See that checkpoints are ``initial``, ``best``, ``final`` or ``epoch<k>`` with k in 1 to `epochs`.

    Raises
    ------
    ValueError
        If one is not.
    """
    for name in names:
        found = re.fullmatch(r"epoch([1-9][0-9]*)", name)
        if name not in CHECKPOINTS and not (found and int(found[1]) <= epochs):
            message = (
                f"`checkpoints` must be {', '.join(CHECKPOINTS)} or epoch1 to epoch{epochs} (the training's "
                f"last), got {name!r}"
            )
            raise InputValueError(message)


def epochs_needed(names: Iterable[str], epochs: int) -> int:
    """Return after how many epochs all these checkpoints are there: none for ``initial`` alone."""
    return max((_epochs_until(name, epochs) for name in names), default=epochs)


def _epochs_until(name: str, epochs: int) -> int:
    if name == "initial":
        return 0
    return int(name.removeprefix("epoch")) if name.startswith("epoch") else epochs


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
