"""Weights by name, checked against a network and put into it."""

from collections.abc import Collection, Hashable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.weight_names import Names, common_beginning, fitting_or_nearest, is_extra_state

Weights = dict[str, NDArray[Any]]

# Names of each kind in an error: enough to see what went wrong.
_NAMED = 3
# Many writers make a scalar an array of one number.
_AS_GOOD: dict[tuple[int, ...], tuple[tuple[int, ...], ...]] = {(): ((), (1,))}


class WeightsError(InputValueError):
    """Weights cannot be read, or do not fit the network."""


@dataclass(frozen=True)
class Part:
    """What one dictionary of a file holds.

    Attributes
    ----------
    weights
        Its tensors.
    keys
        That lead to it from the whole of the file.
    beside
        What it holds beside tensors: names with kinds.
    unreadable
        Why its tensors cannot be taken, if they cannot.
    """

    weights: Weights
    keys: tuple[Hashable, ...] = ()
    beside: tuple[str, ...] = ()
    unreadable: WeightsError | None = None


@dataclass(frozen=True)
class _Candidate:
    """Weights of a part under the network's names, as far as possible, and what is wrong of each kind."""

    part: Part
    beginning: str
    weights: Weights
    wrong: Mapping[str, Collection[str]]


def fit_weights(network: nn.Module, weights: Weights | list[Part]) -> nn.Module:
    """Put weights into a network and set it to evaluation; return it.

    Of the parts of a file, the one is taken that has exactly the network's names and shapes. What wrappers
    add to names (``module.``, ``_orig_mod.``) and a prefix such as ``model.`` are taken off where the rest
    is exactly the network's; what such a file holds beside that prefix or part is left out, and so is what
    is no tensor. Older names are taken where the network's own hooks make them newer (``weight_g`` of weight
    normalisation). A module's extra state (of ``get_extra_state``) is taken where the weights have a tensor
    for it; else the network keeps its own.

    Raises
    ------
    WeightsError
        If several parts fit, names are missing or unexpected, or shapes or kinds of number differ: says
        which, and how many.
    """
    state = network.state_dict()
    extra = [name for name in state if is_extra_state(name)]
    wanted = {name: v for name, v in state.items() if torch.is_tensor(v) and name not in extra}
    names = Names(wanted, _tied(network, wanted), extra)
    parts = weights if isinstance(weights, list) else [Part(weights)]
    fitting = _fitting(parts, network, wanted, names)
    _require_numbers(fitting, wanted)
    whole = {name: torch.from_numpy(values) for name, values in _shared(fitting, names).items()}
    wrong = network.load_state_dict(whole, strict=False)
    left = [name for name in (*wrong.missing_keys, *wrong.unexpected_keys) if not is_extra_state(name)]
    if left:
        raise WeightsError(
            f"`weights` must be all that the network loads, but it has no tensors of its own for "
            f"{first_of(left)}; give a network whose state dict holds tensors alone"
        )
    return network.eval()


def _fitting(
    parts: list[Part], network: nn.Module, wanted: Mapping[str, torch.Tensor], names: Names
) -> Weights:
    candidates = [
        _Candidate(part, beginning, found, _wrong(found, wanted, names))
        for part in parts
        if part.unreadable is None
        for beginning, found in fitting_or_nearest(part.weights, names).items()
    ]
    exact = [one for one in candidates if not one.wrong] or _renaming(candidates, network, wanted, names)
    if len(exact) > 1:
        raise _several(exact)
    if exact:
        return exact[0].weights
    for part in parts:
        if part.unreadable is not None:
            raise part.unreadable
    nearest = max(candidates, key=lambda one: (len(set(one.weights) & set(wanted)), len(one.weights)))
    raise _misfit(nearest, wanted)


def _renaming(
    candidates: list[_Candidate], network: nn.Module, wanted: Mapping[str, torch.Tensor], names: Names
) -> list[_Candidate]:
    """Return the candidates that fit under the names that the network's own hooks give them.

    Nothing may be left out then: it could be another that fits. A network is copied for each, so not for an
    optimiser's few tensors of every parameter.
    """
    tried = [
        replace(one, weights=_renamed(network, one.weights))
        for one in candidates
        if len(one.weights) == len(one.part.weights) and 2 * len(one.weights) >= len(wanted)
    ]
    return [one for one in tried if one.weights and not _wrong(one.weights, wanted, names)]


def _renamed(network: nn.Module, weights: Weights) -> Weights:
    """Return weights under the names that the network's own hooks give them, if it then takes all; else none.

    Torch's parametrised weight normalisation reads what the older one wrote, for one.
    """
    renamed: dict[str, torch.Tensor] = {}

    def look(module: nn.Module, state: Mapping[str, torch.Tensor], prefix: str, *_: object) -> None:
        own = module.state_dict(prefix=prefix)
        renamed.update({name: values for name, values in state.items() if name in own})

    with suppress(Exception):  # whatever torch has against these weights, or a copy of the network
        copy = deepcopy(network)
        for module in copy.modules():
            module.register_load_state_dict_pre_hook(look)  # after those that are there
        copy.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
        return {name: values.numpy() for name, values in renamed.items()}
    return {}


def _wrong(found: Weights, wanted: Mapping[str, torch.Tensor], names: Names) -> dict[str, list[str]]:
    differing = [
        f"{name} is {found[name].shape}, the network's {tuple(values.shape)}"
        for name, values in wanted.items()
        if name in found and found[name].shape not in _shapes(values)
    ]
    missing, unexpected = names.missing(found), names.unexpected(found)
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": differing}
    return {kind: which for kind, which in kinds.items() if which}


def _several(exact: list[_Candidate]) -> WeightsError:
    found = f"`weights` must hold one network, but {len(exact)} parts of the file fit"
    keys = list(dict.fromkeys(one.part.keys for one in exact))
    if len(keys) == 1:
        beginnings = first_of([repr(one.beginning) for one in exact])
        return WeightsError(
            f"{found}, beginning with {beginnings}; write one of them, without its beginning, with torch.save"
        )
    under = first_of([_dotted(each) or "no key" for each in keys])
    chosen = "".join(f"[{key!r}]" for key in max(keys, key=bool))
    return WeightsError(
        f"{found}, under {under}; write one of them with torch.save(torch.load(path){chosen}, other_path)"
    )


def _dotted(keys: tuple[Hashable, ...]) -> str:
    return ".".join(map(str, keys))


def _misfit(candidate: _Candidate, wanted: Mapping[str, torch.Tensor]) -> WeightsError:
    part = candidate.part
    kinds = dict(candidate.wrong) | ({"that is no tensor": part.beside} if part.beside else {})
    wrong = "; ".join(f"{len(found)} {kind} ({first_of(found)})" for kind, found in kinds.items())
    remedy = "give the architecture, width and number of classes that they were trained with"
    theirs, ours = common_beginning(part.weights), common_beginning(wanted)
    if set(candidate.wrong) & {"missing", "unexpected"} and theirs != ours:
        remedy = (
            f"all names of the file begin with {theirs!r}, all of the network with {ours!r}: rename the "
            "file's, or give the architecture that they were trained with"
        )
    elif not set(candidate.weights) & set(wanted):
        remedy = (
            "no name of the file is one of the network's: give the architecture that they were trained with, "
            "or rename the file's"
        )
    under = f" (of the file, what is under {_dotted(part.keys)} comes nearest)" if part.keys else ""
    return WeightsError(
        f"`weights` must fit the network, which has {len(wanted)} tensors: {wrong}{under}; {remedy}"
    )


def _shared(weights: Weights, names: Names) -> Weights:
    """Give each name of a tensor that has several its values."""
    whole = dict(weights)
    for name, same in names.tied.items():
        values = next((weights[other] for other in same if other in weights), None)
        if values is None:
            continue  # a count of batches, which may be missing
        if not np.array_equal(whole.setdefault(name, values), values, equal_nan=True):
            raise WeightsError(
                f"`weights` must have one value for what the network shares, got two that differ for {name}; "
                "give the architecture that they were trained with"
            )
    return whole


def first_of(names: Collection[str]) -> str:
    """List the first of some names."""
    shown = ", ".join(list(names)[:_NAMED])
    return f"{shown}, …" if len(names) > _NAMED else shown


def _tied(network: nn.Module, wanted: Collection[str]) -> dict[str, list[str]]:
    """For each parameter or buffer that has several names, all of them."""
    names: dict[int, list[str]] = {}
    for found in (network.named_parameters, network.named_buffers):
        for name, values in found(remove_duplicate=False):
            if name in wanted:
                names.setdefault(id(values), []).append(name)
    return {name: same for same in names.values() if len(same) > 1 for name in same}


def _shapes(values: torch.Tensor) -> tuple[tuple[int, ...], ...]:
    shape = tuple(values.shape)
    return _AS_GOOD.get(shape, (shape,))


def _require_numbers(weights: Weights, wanted: Mapping[str, torch.Tensor]) -> None:
    """See that the network's kind of number holds the weights: whole or not, real or not, and how large."""
    for name in filter(weights.__contains__, wanted):
        values = weights[name]
        whole = not (wanted[name].is_floating_point() or wanted[name].is_complex())
        if values.dtype.kind == "c" and not wanted[name].is_complex():
            raise WeightsError(
                f"`weights` must hold real numbers for {name}, got {values.dtype}; give the architecture "
                "that they were trained with"
            )
        if whole and not np.array_equal(values, np.trunc(values) if values.dtype.kind == "f" else values):
            raise WeightsError(
                f"`weights` must hold whole numbers for {name}, got {values.dtype} with fractions; give the "
                "architecture that they were trained with"
            )
        if not whole and values.dtype.kind in "iu" and values.ndim:
            raise WeightsError(
                f"`weights` must hold numbers with a fraction for {name}, got {values.dtype}, as quantised "
                "weights have; give the weights from before they were quantised"
            )
        _require_range(name, torch.from_numpy(values), wanted[name].dtype)


def _require_range(name: str, values: torch.Tensor, dtype: torch.dtype) -> None:
    """See that no number becomes infinite, or wraps round, in the network's precision."""
    if values.dtype == dtype or dtype == torch.bool:
        return
    if dtype.is_floating_point or dtype.is_complex:
        beyond = values.to(dtype).isinf() & ~values.isinf()
    else:
        beyond = values.to(dtype).to(values.dtype) != values
    if beyond.any():
        raise WeightsError(
            f"`weights` must be numbers that {str(dtype).removeprefix('torch.')} holds for {name}, got "
            f"{values[beyond].flatten()[0].item():g}; give weights from before their training diverged, or "
            "the architecture that they were trained with"
        )
