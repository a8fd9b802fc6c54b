"""Samples that are no images: whole numbers such as tokens, several inputs at once, lengths that differ."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.data.checked import Input, require_array, require_counts, require_mask
from spanmatch.networks.padding import ATTENTION_MASK, counted_tokens

Arguments = NDArray[Any] | Mapping[str, NDArray[Any]]
"""What a network is called with: one array, or arrays by the names of its arguments; samples come first."""

_Index: TypeAlias = slice | NDArray[np.int64]


def _no_labels() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Samples:
    """What networks take of samples, with ids, labels, and which positions count.

    Attributes
    ----------
    inputs
        (n_samples, ...): whole numbers or bool, which stay what they are, or float32. One array, which is a
        network's only argument, or arrays by the names of its arguments.
    ids
        One stable name for each sample.
    labels
        (n_samples,), int64; or (n_samples, n_positions), one for each position. Left out, all are 0: no
        network is judged by them.
    mask
        (n_samples, n_positions), bool: which positions count, of layers with as many; at least one of each
        sample. Left out, it is what `inputs` have as ``attention_mask``, if they have one, else all count:
        1 for what counts, or 0 where the others are large and negative.
    items
        What people call the samples: ``sequences``, ``sentences``, ``spectra``.

    Raises
    ------
    TypeError
        If an array is of another type.
    ValueError
        If there are no samples, counts differ, or a value is NaN or infinite.
    """

    inputs: Arguments
    ids: tuple[str, ...]
    labels: NDArray[np.int64] = field(default_factory=_no_labels)
    mask: NDArray[np.bool_] | None = None
    items: str = "samples"

    def __post_init__(self) -> None:
        if not self._arrays:
            raise InputValueError("`inputs` must have an array, got none; name what the network takes")
        for name, array in self._arrays.items():
            _require_input(name, array)
        require_array("labels", self.labels, np.int64)
        if len(self.labels) == 0:
            object.__setattr__(self, "labels", np.zeros(len(self.ids), dtype=np.int64))
        counts = {name: len(array) for name, array in self._arrays.items()}
        require_counts({**counts, "labels": len(self.labels), "ids": len(self.ids)}, self.items)
        if self.mask is None and (found := self._arrays.get(ATTENTION_MASK)) is not None:
            counted = counted_tokens(torch.from_numpy(found.copy()))
            object.__setattr__(self, "mask", None if counted is None else counted.numpy())
        if self.mask is not None:
            require_mask(self.mask, len(self.ids), self.items)
            if not self.mask.any(axis=1).all():
                row = int(np.flatnonzero(~self.mask.any(axis=1))[0])
                raise InputValueError(
                    f"`mask` must count at least one position of each of the {self.items}, got none of "
                    f"{self.ids[row]!r}; leave it out"
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def in_files(self) -> bool:
        """Whether reading them means decoding files: they are in memory."""
        return False

    @property
    def nbytes(self) -> int:
        """Bytes that they take in memory."""
        return sum(array.nbytes for array in self._arrays.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample; of several inputs, of the first."""
        return next(iter(self._arrays.values())).shape[1:]

    @property
    def signature(self) -> dict[str, Input]:
        """Kind and shape of each input of one sample, by name; of the only one by an empty name."""
        return {name: Input.of(array) for name, array in self._arrays.items()}

    @property
    def arguments(self) -> Arguments:
        """All samples as a network takes them."""
        return self.inputs

    @cached_property
    def digest(self) -> str:
        """Digest of names, types and values of all arrays, and of the ids."""
        labelled = {**{f"input {name}": array for name, array in self._arrays.items()}, "labels": self.labels}
        if self.mask is not None:
            labelled["mask"] = self.mask
        kinds = {name: [array.dtype.newbyteorder("<").str, array.shape] for name, array in labelled.items()}
        digest = hashlib.sha256(json.dumps(["samples", kinds, self.ids]).encode())
        for array in labelled.values():
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def slice(self, start: int, stop: int) -> "Samples":
        """Return samples `start` to `stop`, without a copy."""
        return self._chosen(slice(start, stop), self.ids[start:stop])

    def spread(self, count: int | None) -> "Samples":
        """Return so many samples, evenly spread over all; all of them for None."""
        if count is None:
            return self
        index = np.arange(count) * len(self) // count
        return self._chosen(index, tuple(self.ids[number] for number in index))

    def raw(self, index: Sequence[int] | NDArray[np.int64], threads: int = 1) -> Arguments:  # noqa: ARG002
        """Return a copy of some samples' inputs."""
        return self._with({name: array[np.asarray(index)] for name, array in self._arrays.items()})

    def standardised(self, raw: Arguments) -> Arguments:
        """Return what `raw` returned: it is what a network takes."""
        return raw

    def joined(self, others: Sequence["Samples"]) -> "Samples":
        """Return these samples and then the others.

        Raises
        ------
        ValueError
            If they have other inputs, other shapes, or a mask where these have none.
        """
        every = [self, *others]
        alike = {json.dumps([one.signature, one.labels.shape[1:], one.mask is None]) for one in every}
        if len(alike) > 1:
            raise InputValueError(
                f"`held_out` must be split where training and held-out {self.items} differ in shape, in "
                "labels or in having a `mask`, got all; give a data set of one kind"
            )
        arrays = {name: np.concatenate([one._arrays[name] for one in every]) for name in self._arrays}
        masks = [one.mask for one in every if one.mask is not None]
        return replace(
            self,
            inputs=self._with(arrays),
            ids=tuple(each for one in every for each in one.ids),
            labels=np.concatenate([one.labels for one in every]),
            mask=np.concatenate(masks) if masks else None,
        )

    @property
    def _arrays(self) -> Mapping[str, NDArray[Any]]:
        return self.inputs if isinstance(self.inputs, Mapping) else {"": self.inputs}

    def _with(self, arrays: Mapping[str, NDArray[Any]]) -> Arguments:
        return arrays if isinstance(self.inputs, Mapping) else arrays[""]

    def _chosen(self, index: _Index, ids: tuple[str, ...]) -> "Samples":
        arrays = {name: array[index] for name, array in self._arrays.items()}
        mask = None if self.mask is None else self.mask[index]
        return replace(self, inputs=self._with(arrays), ids=ids, labels=self.labels[index], mask=mask)


def padded(
    sequences: Sequence[NDArray[np.int64]], length: int | None = None, fill: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Lay out sequences of different lengths in one array, with the mask of what is no padding.

    Parameters
    ----------
    sequences
        Whole numbers, (n_tokens,) each.
    length
        Of every row; None for that of the longest.
    fill
        What stands behind the end of a shorter one.

    Returns
    -------
    tokens, mask
        (n_sequences, length) each, int64 and bool.

    Raises
    ------
    ValueError
        If there is no sequence, or one is empty or longer than `length`.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    if len(lengths) == 0 or lengths.min() == 0 or (length is not None and lengths.max() > length):
        got = "none" if len(lengths) == 0 else f"lengths from {lengths.min()} to {lengths.max()}"
        bound = "" if length is None else f" to {length}"
        raise InputValueError(f"`sequences` must be some, of length 1{bound}, got {got}; cut them up")
    mask = np.arange(length or lengths.max()) < lengths[:, np.newaxis]
    tokens = np.full(mask.shape, fill, dtype=np.int64)
    tokens[mask] = np.concatenate(sequences)
    return tokens, mask


def _require_input(name: str, array: object) -> None:
    shown = f"inputs[{name!r}]" if name else "inputs"
    if not isinstance(name, str) or (name and not name.isidentifier()):
        raise InputValueError(f"`inputs` must have names of a network's arguments, got {name!r}")
    require_array(shown, array)
    assert isinstance(array, np.ndarray)
    if not array.dtype.isnative or (array.dtype.kind not in "iub" and array.dtype != np.float32):
        raise InputTypeError(
            f"`{shown}` must be whole numbers, bool or float32, got {array.dtype}; convert it with .astype"
        )
    if array.ndim == 0:
        raise InputValueError(f"`{shown}` must have samples in its first dimension, got a single number")
    finite = np.isfinite(array)
    if name == ATTENTION_MASK:  # what is added to scores may be minus infinity
        finite |= array == -np.inf
    if not finite.all():
        raise InputValueError(f"`{shown}` must be finite, got NaN or infinity")
