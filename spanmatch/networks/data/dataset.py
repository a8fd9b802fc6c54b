"""Data sets: samples to train on, and samples that networks are judged and compared on."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.networks.data.images import Images, joined_images
from spanmatch.networks.data.samples import Samples
from spanmatch.networks.training_tasks.task_registry import training_task
from spanmatch.networks.training_tasks.training_task import TrainingTask

AnySamples: TypeAlias = Images | Samples
"""Images, or samples that are none."""

_USUAL_TASK = "classification"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set split into training and held-out samples.

    Attributes
    ----------
    name
        What people call it.
    training, held_out
        What networks are trained on, None where none is, and what they are judged and compared on.
    classes
        Number of classes; labels run from 0 to below it. Of tokens, the size of the vocabulary.
    task
        What networks are trained for and judged by: ``classification`` of samples, one label each; or
        ``next-token``, with tokens as labels, one for each position.
    show
        How a held-out sample looks, by its id, for people who are shown what a neuron sees: a picture, an
        array of uint8 (height, width) or (height, width, 3); or its tokens as text, one for each position.
        None where it can be told from the samples, as of images, or they are not shown. No part of `digest`.

    Raises
    ------
    ValueError
        If the two parts differ in shape, share an id, hold NaN, or labels are out of range or not those of
        the task, which asks for an answer and has a mask of their shape.
    """

    name: str
    training: AnySamples | None
    held_out: AnySamples
    classes: int
    task: str = _USUAL_TASK
    show: Callable[[str], NDArray[np.uint8] | Sequence[str]] | None = None

    def __post_init__(self) -> None:
        if self.training is not None and self.training.signature != self.held_out.signature:
            kinds = len({tuple(kind for kind, _ in part.signature.values()) for part in self.parts}) > 1
            one, other = (_shown(part, kinds=kinds) for part in self.parts)
            message = (
                f"training and held-out {self.items} must be of one kind and shape, got {one} and {other} in "
                f"{self.name!r}"
            )
            raise InputValueError(message)
        for samples in self.parts:
            self._require_labels(samples)
            stored = samples.stored if isinstance(samples, Images) else None
            if isinstance(stored, np.ndarray) and not np.isfinite(stored).all():
                raise InputValueError(f"`stored` must be finite, got NaN or infinity in {self.name!r}")
        ids = list(chain.from_iterable(samples.ids for samples in self.parts))
        if len(set(ids)) < len(ids):
            raise InputValueError(
                f"`ids` must differ, got repeated ones in {self.name!r}; number the {self.items}"
            )

    def _require_labels(self, samples: AnySamples) -> None:
        labels = samples.labels
        self.trained_for.require_answers(labels, samples.mask, repr(self.name))
        lowest, highest = labels.min(), labels.max()
        if lowest < 0 or highest >= self.classes:
            message = (
                f"`labels` must lie in [0, {self.classes}), the classes of {self.name!r}, got "
                f"{lowest} to {highest}"
            )
            raise InputValueError(message)

    @property
    def items(self) -> str:
        """What people call the samples: ``images``, ``sequences``, or what those of one's own are called."""
        return self.held_out.items

    @property
    def inputs(self) -> str:
        """What networks are given of one sample, in words: names where there are some, kinds and shapes."""
        return _shown(self.held_out, kinds=True)

    @property
    def trained_for(self) -> TrainingTask:
        """The task that networks are trained for and judged by.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        return training_task(self.task)

    @property
    def parts(self) -> tuple[AnySamples, ...]:
        """The training samples, if there are any, and the held-out ones."""
        return (self.held_out,) if self.training is None else (self.training, self.held_out)

    def pooled(self) -> "Dataset":
        """Return the data set with all samples held out: first those to train on."""
        return self if self.training is None else self._pooled

    @cached_property
    def _pooled(self) -> "Dataset":
        return replace(self, training=None, held_out=joined(self.parts))

    @cached_property
    def digest(self) -> str:
        """Digest of the parts, the number of classes, and the task where it is no classification."""
        task = "" if self.task == _USUAL_TASK else f" {self.task}"
        parts = f"{' '.join(samples.digest for samples in self.parts)} {self.classes}{task}"
        return hashlib.sha256(parts.encode()).hexdigest()


def joined(parts: tuple[AnySamples, ...]) -> AnySamples:
    """Return the samples of all parts, one part after the other.

    Raises
    ------
    ValueError
        If they are of different kinds.
    """
    images = [part for part in parts if isinstance(part, Images)]
    samples = [part for part in parts if isinstance(part, Samples)]
    if images and samples:
        raise InputValueError(
            "`held_out` must be split where training and held-out samples differ in kind, got all; give a "
            "data set of one kind"
        )
    return joined_images(images) if images else samples[0].joined(samples[1:])


def _shown(samples: AnySamples, *, kinds: bool) -> str:
    """Say of each input its name, if it has one, its kind where that matters, and its shape."""
    words = ((name, kind if kinds else "", str(shape)) for name, (kind, shape) in samples.signature.items())
    return " and ".join(" ".join(filter(None, each)) for each in words)
