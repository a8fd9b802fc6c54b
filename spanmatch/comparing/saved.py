"""A comparison in one file: arrays of NumPy and a description in JSON, in a zip. Nothing is pickled."""

import json
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanmatch.comparing.compared import Compared
from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.pairs import Column, ComparedLayer, Pair
from spanmatch.comparing.sums import Sums
from spanmatch.errors import InputValueError
from spanmatch.matching.joint_sums import MOMENTS, Moments

_FORMAT = "spanmatch comparison 1"
_ABOUT = "about"
_KEYS = frozenset({"layers", "pairs", "images", "positions", "folds", "notes", "minibatch_cka", "groups"})


def write(path: Path, compared: Compared) -> None:
    """Write a comparison, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {}
    described = []
    for number, group in enumerate(compared.sums):
        described.append({"columns": [list(column) for column in group.columns], "kept": group.are_kept})
        for fold, sums in enumerate(group.folds):
            arrays |= {f"{number}/{fold}/{name}": array for name, array in _arrays(group, fold, sums).items()}
    text = json.dumps({"format": _FORMAT, **_about(compared), "groups": described})
    arrays[_ABOUT] = np.frombuffer(text.encode(), dtype=np.uint8)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _about(compared: Compared) -> dict[str, Any]:
    values = compared.minibatch_cka
    return {
        "layers": {name: [asdict(layer) for layer in layers] for name, layers in compared.layers.items()},
        "pairs": [[*pair.x, *pair.y] for pair in compared.pairs],
        "images": compared.samples,
        "positions": compared.positions,
        "folds": compared.folds,
        "notes": list(compared.notes),
        "minibatch_cka": None if values is None else [values[pair] for pair in compared.pairs],
    }


def read(path: Path) -> Compared:
    """Return the comparison in a file.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no comparison.
    """
    about, arrays = _content(path)
    pairs = tuple(Pair(Column(*each[:2]), Column(*each[2:])) for each in about["pairs"])
    layers = {
        name: tuple(ComparedLayer(**layer) for layer in layers) for name, layers in about["layers"].items()
    }
    neurons = {Column(name, layer.name): layer.neurons for name, of in layers.items() for layer in of}
    values = about["minibatch_cka"]
    groups = []
    for number, described in enumerate(about["groups"]):
        columns = [Column(*each) for each in described["columns"]]
        group = GroupSums(columns, neurons, pairs, max(about["folds"], 1), keep=described["kept"])
        for fold, sums in enumerate(group.folds):
            _fill(group, fold, sums, arrays, f"{number}/{fold}/", kept=described["kept"])
        groups.append(group)
    return Compared(
        layers=layers,
        pairs=pairs,
        samples=about["images"],
        positions=about["positions"],
        folds=about["folds"],
        notes=tuple(about["notes"]),
        sums=tuple(groups),
        minibatch_cka=None if values is None else dict(zip(pairs, values, strict=True)),
    )


def _content(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop(_ABOUT).tobytes())
        known = about.pop("format") == _FORMAT
    except (EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputValueError(
            f"`path` must be a file that Comparison.save has written, got {str(path)!r} ({error}); save it "
            "again"
        ) from None

    if not known:
        raise InputValueError(
            f"`path` must be a file of this version's Comparison.save, got {str(path)!r} of another; compare "
            "again"
        )

    if not (isinstance(about, dict) and about.keys() >= _KEYS):
        raise InputValueError(
            f"`path` must be a file of Comparison.save, got {str(path)!r}, which lacks parts; compare again"
        )
    return about, arrays


def _arrays(group: GroupSums, fold: int, sums: Sums) -> dict[str, NDArray[Any]]:
    if group.are_kept:
        samples = {f"samples/{number}": sums.samples(number) for number in range(len(group.columns))}
        return {**samples, "images": group.images(fold)}
    return {
        f"{i}.{j}/{name}": array
        for i, j in sums.pairs
        for name, array in sums.moments((i, j)).arrays().items()
    }


def _fill(
    group: GroupSums, fold: int, sums: Sums, arrays: Mapping[str, NDArray[Any]], start: str, *, kept: bool
) -> None:
    if kept:
        samples = [arrays[f"{start}samples/{number}"] for number in range(len(group.columns))]
        sums.add(samples)
        group.set_images(fold, arrays[f"{start}images"])
        return
    moments = {}
    for i, j in sums.pairs:
        of_pair = {name: arrays[f"{start}{i}.{j}/{name}"] for name in MOMENTS}
        moments[i, j] = Moments.of_arrays(of_pair)
    sums.restore(moments)
