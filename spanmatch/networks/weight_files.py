"""Weights in files of safetensors or ``torch.save``, told apart by their content.

Nothing here is unpickled.
"""

import warnings
import zipfile
from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from spanmatch.networks.weight_names import is_extra_state
from spanmatch.networks.weights import Part, WeightsError, first_of

# A checkpoint may wrap its state dict, and a trainer that checkpoint once more.
_DEEPEST = 3
_WITHOUT_NUMPY = (torch.bfloat16,)


def read_weights(path: Path) -> list[Part]:
    """Read the weights of a network from a file.

    Parameters
    ----------
    path
        A safetensors file; or one by ``torch.save`` with a state dict, or with a dictionary that has one
        below any of its keys, such as ``state_dict`` or ``model``. bfloat16 becomes float32, which holds
        every such number.

    Returns
    -------
    parts
        The tensors of every dictionary that has any, under the names of the file, such as those of an
        optimiser beside a network's: `fit_weights` takes the part that fits, and prefixes off. A module's
        extra state that is no tensor (of ``get_extra_state``) is passed over: the network keeps its own.

    Raises
    ------
    WeightsError
        If the file is absent or damaged, or holds no named tensors, or none that can be read, as where they
        are quantised.
    """
    if not path.is_file():
        raise WeightsError(f"`weights` must be a file, but there is none at {path}")
    found = _read_safetensors(path) if _is_safetensors(path) else _read_saved(path)
    parts = list(_parts(found, path))
    if not parts:
        raise WeightsError(
            f"`weights` must hold named tensors, but {path} holds {_kinds(found)}; write it with "
            "torch.save(network.state_dict(), path)"
        )
    unreadable = [part.unreadable for part in parts if part.unreadable is not None]
    if len(unreadable) == len(parts):
        raise unreadable[0]
    return parts


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # after eight bytes that count those of the header, which is JSON
        return int.from_bytes(start[:8], "little") < path.stat().st_size
    return path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def _read_safetensors(path: Path) -> object:
    _refuse_foreign(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"`weights` must be a safetensors file, but {path} is not: {error}") from error


def _read_saved(path: Path) -> object:
    _refuse_foreign(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of quantised tensors, which are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors of several modules, and whatever damage looks like
        objects = _objects(path)
        if objects:
            raise WeightsError(
                f"`weights` must be a file that torch.load(weights_only=True) reads, but {path} holds other "
                f"objects than tensors, which are not unpickled ({first_of(objects)}); where you trust the "
                "file, read it with found = torch.load(path, weights_only=False), and write its tensors "
                "alone with torch.save(found.state_dict(), other_path) if it is a module, or "
                "torch.save(found['state_dict'], other_path) if it is a checkpoint"
            ) from error
        raise WeightsError(
            f"`weights` must be a file that torch.load(weights_only=True) reads, but {path} is damaged or "
            f"holds other objects than tensors, which are not unpickled ({type(error).__name__}); write it "
            "with torch.save(network.state_dict(), path)"
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Refuse what is known to be something else, and say what to do with it."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    said = None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [Path(name).name for name in archive.namelist()]
        if "constants.pkl" in names:
            said = "a TorchScript archive; write torch.jit.load(path).state_dict() with torch.save"
        elif any(name.endswith(".npy") for name in names):
            said = "NumPy's archive; write its arrays as tensors with torch.save"
    elif start.startswith(b"version https://git-lfs"):
        said = "a pointer of Git LFS, and not the file; fetch that with `git lfs pull`"
    elif start.startswith(b"{"):
        said = (
            "JSON, such as the index of weights in several files; join the files' tensors in one dictionary, "
            "and write that with torch.save"
        )
    elif start.startswith(b"\x89HDF"):
        said = "an HDF5 file, as Keras writes; write its arrays as tensors with torch.save"
    if said is not None:
        raise WeightsError(f"`weights` must be a safetensors file or a state dict, but {path} is {said}")


def _objects(path: Path) -> list[str]:
    """Return the classes and functions that a file would have called."""
    with suppress(Exception):  # older files, and damaged ones
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    return []


def _parts(found: object, path: Path, keys: tuple[Hashable, ...] = ()) -> Iterator[Part]:
    """Yield what every dictionary in a checkpoint has of tensors."""
    if not isinstance(found, Mapping):
        return
    found = {
        key: value
        for key, value in found.items()
        if isinstance(value, torch.Tensor) or not is_extra_state(key)
    }
    if any(isinstance(value, torch.Tensor) or _is_quantised(value) for value in _direct(found).values()):
        yield _part(found, path, keys)
    if len(keys) < _DEEPEST:
        for key, value in found.items():
            yield from _parts(value, path, (*keys, key))


def _direct(found: Mapping[Hashable, object]) -> dict[str, object]:
    """Return what stands in a dictionary itself."""
    return {
        key: value for key, value in found.items() if isinstance(key, str) and not isinstance(value, Mapping)
    }


def _part(found: Mapping[Hashable, object], path: Path, keys: tuple[Hashable, ...]) -> Part:
    tensors = {name: value for name, value in _direct(found).items() if isinstance(value, torch.Tensor)}
    beside = tuple(f"{key}: {type(value).__name__}" for key, value in found.items() if key not in tensors)
    try:
        if any(map(_is_quantised, _direct(found).values())):
            raise _quantised(path)
        weights = {name: _array(name, values) for name, values in tensors.items()}
    except WeightsError as error:
        return Part({}, keys, beside, error)
    return Part(weights, keys, beside)


def _is_quantised(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_quantised, value.values()))
    if isinstance(value, tuple):  # what torch packs weight and bias of a layer into
        return any(map(_is_quantised, value))
    return isinstance(value, torch.Tensor) and (
        value.is_quantized or (value.is_floating_point() and value.element_size() == 1)
    )


def _quantised(path: Path) -> WeightsError:
    return WeightsError(
        f"`weights` must be numbers of 16 bits or more, but {path} holds quantised tensors; give the weights "
        "from before they were quantised"
    )


def _kinds(state: object) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return first_of([f"{name}: {type(value).__name__}" for name, value in state.items()]) or "nothing"


def _array(name: str, values: torch.Tensor) -> NDArray[Any]:
    if values.is_meta:
        raise WeightsError(
            f"`weights` must have values, but {name} is on the meta device, which keeps none; write the "
            "state dict of a network that is on another"
        )
    try:
        dense = values.detach().to_dense() if values.layout != torch.strided else values.detach()
        plain = (dense.float() if dense.dtype in _WITHOUT_NUMPY else dense).resolve_conj().resolve_neg()
        array: NDArray[Any] = plain.contiguous().numpy()
    except (RuntimeError, TypeError) as error:
        raise WeightsError(
            f"`weights` must be tensors that can be made NumPy's, but {name} is a {type(values).__name__} of "
            f"{values.dtype} and {values.layout}, which cannot; write it as a dense tensor of float32"
        ) from error
    return array
