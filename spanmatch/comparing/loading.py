"""What loaders give: inputs of networks, ids of samples, and which positions count."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import RandomSampler

from spanmatch.comparing.suiting import IDS, Suiting, named_part, tensors_of
from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.padding import ATTENTION_MASK, counted_tokens

Taker: TypeAlias = Callable[[Any], Any]
"""Gives what a network takes of a batch: a tensor, a tuple of arguments, or a dictionary of named ones."""
MaskOf: TypeAlias = str | Callable[[Any], Any] | bool | None
Mask: TypeAlias = NDArray[np.bool_] | None

_ENDED = object()
Value = TypeVar("Value")


@dataclass(frozen=True)
class Batch:
    """Some samples, as each network takes them.

    Attributes
    ----------
    inputs
        One for each network.
    ids
        One for each sample.
    masks
        For each network (samples, positions): which positions count, of layers with as many; None where
        nothing says so.
    start
        Samples before these.
    """

    inputs: tuple[Inputs, ...]
    ids: tuple[str, ...]
    masks: tuple[Mask, ...]
    start: int

    def __len__(self) -> int:
        return len(self.ids)

    def parts(self, size: int) -> Iterator["Batch"]:
        """Cut the samples into parts of at most so many."""
        if len(self) <= size:
            yield self
            return
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            masks = tuple(None if mask is None else mask[part] for mask in self.masks)
            inputs = tuple(each.taken(part) for each in self.inputs)
            yield Batch(inputs, self.ids[part], masks, self.start + start)


class Batches:
    """Batches of one loader for all networks, or of one for each.

    Parameters
    ----------
    networks
        By name.
    loader
        What can be gone through; or one for each network, by name, which give the same samples.
    inputs
        What networks take of a batch; None for what suits their signature. One for all, or by name.
    mask
        Key of a batch that is a dictionary, or a function of a batch; None for one that is found, False for
        none.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        loader: Iterable[Any] | Mapping[str, Iterable[Any]],
        inputs: Taker | Mapping[str, Taker] | None,
        mask: MaskOf,
    ) -> None:
        own = by_name("loader", loader, networks)
        for name, each in own.items():
            if not isinstance(each, Iterable) or isinstance(each, torch.Tensor | np.ndarray | str):
                raise InputTypeError(
                    f"`loader` must give batches when it is gone through, got {type(each).__name__} for "
                    f"{name!r}; pass a DataLoader, or a list of batches: [x] is one batch"
                )
        # gone through once, however many networks it is for
        self._loaders: list[Iterable[Any]] = list({id(each): each for each in own.values()}.values())
        places = {id(each): place for place, each in enumerate(self._loaders)}
        self._loader_of = [places[id(own[name])] for name in networks]
        takers = by_name("inputs", inputs, networks)
        for name, take in takers.items():
            if not (take is None or callable(take)):
                raise InputTypeError(
                    f"`inputs` must be a function of a batch, got {type(take).__name__} for {name!r}; "
                    "such as lambda batch: batch[0]"
                )
        if not (mask is None or callable(mask) or isinstance(mask, str | bool)):
            raise InputTypeError(
                f"`mask` must be a key of the batches, a function of a batch, or False, got {mask!r}; leave "
                "it out for what batches and networks say themselves"
            )
        self._takers = [takers[name] or Suiting(name, network) for name, network in networks.items()]
        self._names = list(networks)
        self._mask = mask
        self.masked_by = ""
        """What has said which positions count."""

    def __len__(self) -> int:
        """Return how many there are; 0 where the loader does not say."""
        try:
            return len(self._loaders[0])  # type: ignore[arg-type]
        except TypeError:
            return 0

    def __iter__(self) -> Iterator[Batch]:
        """Give batch after batch; those without samples are passed over.

        Raises
        ------
        TypeError
            If a batch has no tensor that a network takes.
        ValueError
            If loaders differ in number or ids of samples, or a mask has another shape.
        """
        start = 0
        for number, given in enumerate(zip_longest(*self._loaders, fillvalue=_ENDED)):
            self._require_all(given, number)
            batch = self._batch(given, number, start)
            if len(batch):
                start += len(batch)
                yield batch
        if not start:
            raise InputValueError(
                "`loader` must give at least one batch with samples, got none; an iterator is gone after one "
                "use"
            )

    @property
    def notes(self) -> list[str]:
        """What was done without being asked for."""
        left_out = [each.left_out for each in self._takers if isinstance(each, Suiting) and each.left_out]
        if self.masked_by:
            left_out.append(f"Which positions count was said by {self.masked_by}; others are left out.")
        return left_out

    def _require_all(self, given: Sequence[object], number: int) -> None:
        ended = [place for place, each in enumerate(given) if each is _ENDED]
        if ended:
            name = self._names[self._loader_of.index(ended[0])]
            raise InputValueError(
                f"`loader` must give equally many batches for all networks, but that of {name!r} ended "
                f"after {number}; give the same samples to each"
            )

    def _batch(self, given: Sequence[Any], number: int, start: int) -> Batch:
        of_each = [given[place] for place in self._loader_of]
        inputs = tuple(_inputs(take(each)) for take, each in zip(self._takers, of_each, strict=True))
        sizes = [len(each) for each in inputs]
        if len(set(sizes)) > 1:
            raise InputValueError(
                f"`loader` must give the same samples to all networks, got {sizes} samples in batch "
                f"{number}; use one batch size and one order"
            )
        known = [ids for each in given if (ids := _ids(each, sizes[0])) is not None]
        if any(each != known[0] for each in known):
            raise InputValueError(
                f"`loader` must give samples of equal ids to all networks, got others in batch {number}; use "
                "one order, without shuffling"
            )
        self._require_one_order(len(known))
        ids = known[0] if known else tuple(str(start + place) for place in range(sizes[0]))
        masks = tuple(self._masked(each, part) for each, part in zip(of_each, inputs, strict=True))
        return Batch(inputs, ids, masks, start)

    def _require_one_order(self, with_ids: int) -> None:
        """See that several loaders do not shuffle, unless ids show that they do it alike."""
        if len(self._loaders) == 1 or with_ids == len(self._loaders):
            return
        if any(isinstance(getattr(each, "sampler", None), RandomSampler) for each in self._loaders):
            raise InputValueError(
                "`loader` must give the same samples to all networks, got one that shuffles beside another; "
                "pass one loader for all networks, shuffle=False, or ids of the samples under `id`"
            )

    def _masked(self, given: Any, inputs: Inputs) -> Mask:  # noqa: ANN401 - whatever a loader gives
        found = self._mask_of(given, inputs)
        if found is None:
            return None
        mask = torch.as_tensor(found)
        counts = counted_tokens(mask)
        if counts is None or len(mask) != len(inputs):
            raise InputValueError(
                f"`mask` must have the shape (samples, positions) of {len(inputs)} samples, got "
                f"{tuple(mask.shape)}; give one that says of each position whether it counts"
            )
        return counts.cpu().numpy()

    def _mask_of(self, given: Any, inputs: Inputs) -> object:  # noqa: ANN401 - whatever a loader gives
        if callable(self._mask):
            found = self._mask(given)
            self.masked_by = self.masked_by if found is None else "`mask`"
            return found
        given = named_part(given)
        if isinstance(self._mask, str):
            if not isinstance(given, Mapping) or self._mask not in given:
                keys = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
                raise InputValueError(
                    f"`mask` must be a key of the batches, got {self._mask!r} where they have: {keys}"
                )
            self.masked_by = f"{self._mask!r} of the batches"
            return given[self._mask]
        if self._mask is False or not isinstance(given, Mapping):
            return None
        value = given.get(ATTENTION_MASK)
        counts = (
            counted_tokens(torch.as_tensor(value)) if isinstance(value, torch.Tensor | np.ndarray) else None
        )
        if counts is None or not any(each.shape[:2] == counts.shape for each in inputs.tensors):
            return None  # this network does not take what is masked
        self.masked_by = f"{ATTENTION_MASK!r} of the batches"
        return counts


def by_name(
    argument: str, given: Value | Mapping[str, Value], networks: Mapping[str, object]
) -> dict[str, Value]:
    """Return what is given for each network, by its name, where it may be one for all.

    Raises
    ------
    ValueError
        If it is for others.
    """
    if not isinstance(given, Mapping):
        return dict.fromkeys(networks, given)
    named = {str(name): each for name, each in given.items()}
    if named.keys() != networks.keys():
        raise InputValueError(
            f"`{argument}` must be one for all networks or one for each of: {', '.join(networks)}; got "
            f"{', '.join(named) or 'none'}"
        )
    return named


def _inputs(taken: object) -> Inputs:
    if isinstance(taken, Mapping):
        return Inputs((), {str(name): tensors_of(value) for name, value in taken.items()})
    if isinstance(taken, tuple | list):
        return Inputs(tuple(tensors_of(each) for each in taken))
    return Inputs((tensors_of(taken),))


def _ids(given: object, samples: int) -> tuple[str, ...] | None:
    given = named_part(given)
    if not isinstance(given, Mapping):
        return None
    for name in IDS:
        if name in given:
            found = given[name]
            listed = found.tolist() if isinstance(found, torch.Tensor | np.ndarray) else found
            ids = (
                tuple(map(str, listed))
                if isinstance(listed, Sequence) and not isinstance(listed, str)
                else ()
            )
            if len(ids) != samples:
                raise InputValueError(
                    f"`loader` must give an id for each sample, got {len(ids) or found!r} under {name!r} for "
                    f"{samples}"
                )
            return ids
    return None
