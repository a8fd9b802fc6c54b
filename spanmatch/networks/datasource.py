"""The data set that a study names, as a value that is sent to workers.

Must not load torch or the data.
"""

from dataclasses import dataclass
from typing import Literal

HeldOut = Literal["split", "all"]


@dataclass(frozen=True)
class Framing:
    """How the images of a folder become pixels, as `Preprocessing` has it."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    resize: int | None = None
    crop: int | None = None


@dataclass(frozen=True)
class DataSource:
    """A data set by name, and what a study says about it.

    Attributes
    ----------
    name
        A published data set's name, ``folder:PATH``, or ``package.module:factory``.
    folder
        Where published data sets are looked for; None for the environment's.
    held_out
        Compare the images that are held out from training, or all that there are.
    framing
        Preprocessing of a folder's images; None for what suits them.
    """

    name: str
    folder: str | None = None
    held_out: HeldOut = "split"
    framing: Framing | None = None
