"""How a network is trained, as plain numbers.

Apart from training so that planning a study does not load torch.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum and weight decay on a one-cycle schedule.

    Attributes
    ----------
    epochs, batch_size
        Passes over the training images, and images in a step.
    learning_rate
        The schedule's highest.
    momentum, weight_decay
        As in stochastic gradient descent.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
