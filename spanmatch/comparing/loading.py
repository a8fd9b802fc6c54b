"""What loaders give: inputs of networks, ids of samples, and which positions count."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.network_inputs import Inputs

Taker: TypeAlias = Callable[[Any], Any]
"""Gives what a network takes of a batch: a tensor, a tuple of arguments, or a dictionary of named ones."""
MaskOf: TypeAlias = str | Callable[[Any], Any] | bool | None

_LABELS = frozenset({"labels", "label", "targets", "target", "y"})
_IDS = ("id", "ids")
_MASKS = ("attention_mask",)


@dataclass(frozen=True)
class Batch:
    """Some samples, as each network takes them.

    Attributes
    ----------
    inputs
        One for each network.
    ids
        One for each sample.
    mask
        (samples, positions): which positions count, of layers with as many; None where nothing says so.
    start
        Samples before these.
    """

    inputs: tuple[Inputs, ...]
    ids: tuple[str, ...]
    mask: NDArray[np.bool_] | None
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
            mask = None if self.mask is None else self.mask[part]
            inputs = tuple(each.taken(part) for each in self.inputs)
            yield Batch(inputs, self.ids[part], mask, self.start + start)


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
        own = loader if isinstance(loader, Mapping) else dict.fromkeys(networks, loader)
        _require_names("loader", own, networks)
        for name, each in own.items():
            if not isinstance(each, Iterable) or isinstance(each, torch.Tensor | np.ndarray | str):
                raise InputTypeError(
                    f"`loader` must give batches when it is gone through, got {type(each).__name__} for "
                    f"{name!r}; pass a DataLoader, or a list of batches: [x] is one batch"
                )
        self._shared = not isinstance(loader, Mapping)
        self._loaders = [loader] if self._shared else [own[name] for name in networks]
        takers = inputs if isinstance(inputs, Mapping) else dict.fromkeys(networks, inputs)
        _require_names("inputs", takers, networks)
        self._takers = [takers[name] or _Suiting(network) for name, network in networks.items()]
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
        """Give batch after batch.

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
            start += len(batch)
            yield batch
        if not start:
            raise InputValueError(
                "`loader` must give at least one batch, got none; an iterator is gone after one use"
            )

    def _require_all(self, given: Sequence[object], number: int) -> None:
        ended = [name for name, each in zip(self._names, given, strict=False) if each is _ENDED]
        if ended:
            raise InputValueError(
                f"`loader` must give equally many batches for all networks, but that of {ended[0]!r} ended "
                f"after {number}; give the same samples to each"
            )

    def _batch(self, given: Sequence[Any], number: int, start: int) -> Batch:
        each_given = list(given) * len(self._names) if self._shared else list(given)
        inputs = tuple(_inputs(take(each)) for take, each in zip(self._takers, each_given, strict=True))
        sizes = [len(each) for each in inputs]
        if len(set(sizes)) > 1:
            raise InputValueError(
                f"`loader` must give the same samples to all networks, got {sizes} samples in batch "
                f"{number}; use one batch size and one order"
            )
        ids = [_ids(each, sizes[0]) for each in given]
        known = [each for each in ids if each is not None]
        if any(each != known[0] for each in known):
            raise InputValueError(
                f"`loader` must give samples of equal ids to all networks, got others in batch {number}; use "
                "one order, without shuffling"
            )
        numbered = tuple(str(start + place) for place in range(sizes[0]))
        return Batch(inputs, known[0] if known else numbered, self._masked(given, sizes[0]), start)

    def _masked(self, given: Sequence[Any], samples: int) -> NDArray[np.bool_] | None:
        masks = [found for each in given if (found := self._mask_of(each)) is not None]
        if not masks:
            return None
        mask = _array(masks[0])
        if mask.ndim != 2 or len(mask) != samples:
            raise InputValueError(
                f"`mask` must have the shape (samples, positions) of {samples} samples, got {mask.shape}; "
                "give one that says of each position whether it counts"
            )
        if any(not np.array_equal(mask, _array(other)) for other in masks[1:]):
            raise InputValueError("`mask` must be the same for all networks, got two that differ; give one")
        return mask.astype(np.bool_)

    def _mask_of(self, given: Any) -> object:  # noqa: ANN401 - whatever a loader gives
        if callable(self._mask):
            self.masked_by = "`mask`"
            return self._mask(given)
        given = _named(given)
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
        for name in _MASKS:
            value = given.get(name)
            if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 2:
                self.masked_by = f"{name!r} of the batches"
                return value
        return None


_ENDED = object()


class _Suiting:
    """Takes of a batch what a network's forward pass has parameters for."""

    def __init__(self, network: nn.Module) -> None:
        self._kind = type(network).__name__
        try:
            parameters = list(inspect.signature(network.forward).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        placed = [each for each in parameters if each.kind in by_place]
        self._required = max(1, sum(each.default is inspect.Parameter.empty for each in placed))
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        self._named = {each.name for each in parameters if each.kind in named} - _LABELS
        self._takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)

    def __call__(self, batch: Any) -> object:  # noqa: ANN401 - whatever a loader gives
        """Return the arguments."""
        if isinstance(batch, Mapping):
            taken = {name: value for name, value in batch.items() if name in self._named}
            if taken and self._takes_any:
                left = _LABELS | set(_IDS)
                taken = {name: value for name, value in batch.items() if name not in left}
            return taken or (batch,)
        if isinstance(batch, tuple | list):
            if self._required == 1 and isinstance(_named(batch), Mapping):
                return self(batch[0])
            if len(batch) < self._required:
                raise InputTypeError(
                    f"`loader` must give the {self._required} inputs that {self._kind} takes, got "
                    f"{len(batch)} in a batch; say what the network takes with `inputs`"
                )
            return tuple(batch[: self._required])
        return batch


def _named(given: Any) -> Any:  # noqa: ANN401 - whatever a loader gives
    """Return what has names in a batch: the batch, or its first part beside labels."""
    return given[0] if isinstance(given, tuple | list) and given and isinstance(given[0], Mapping) else given


def _inputs(taken: object) -> Inputs:
    if isinstance(taken, Mapping):
        return Inputs((), {str(name): _tensors(value) for name, value in taken.items()})
    if isinstance(taken, tuple | list):
        return Inputs(tuple(_tensors(each) for each in taken))
    return Inputs((_tensors(taken),))


def _tensors(value: object) -> object:
    """Return a value with arrays of NumPy as tensors."""
    return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _ids(given: object, samples: int) -> tuple[str, ...] | None:
    given = _named(given)
    if not isinstance(given, Mapping):
        return None
    for name in _IDS:
        if name in given:
            found = given[name]
            ids = tuple(map(str, found.tolist() if isinstance(found, torch.Tensor | np.ndarray) else found))
            if len(ids) != samples:
                raise InputValueError(
                    f"`loader` must give an id for each sample, got {len(ids)} under {name!r} for {samples}"
                )
            return ids
    return None


def _array(mask: object) -> NDArray[Any]:
    array: NDArray[Any] = mask.cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    return array


def _require_names(argument: str, given: Mapping[str, object], networks: Mapping[str, object]) -> None:
    if given.keys() != networks.keys():
        raise InputValueError(
            f"`{argument}` must be one for all networks or one for each of: {', '.join(networks)}; got "
            f"{', '.join(map(str, given)) or 'none'}"
        )
