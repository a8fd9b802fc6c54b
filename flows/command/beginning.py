"""`spanmatch init`: a study of one's own network or weights, written after a look at it and at the data."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.command.draft import Seen, advised, draft
from flows.study import layer_list
from flows.study.file import read_study
from flows.study.model import Study, validated
from flows.study.resolve import resolve
from flows.study.schema import editor_comment
from spanmatch import networks
from spanmatch.errors import InputValueError, SpanmatchError

if TYPE_CHECKING:
    from spanmatch.networks import Dataset

_SEEDS = (0, 1)
_EPSILONS = [0.15, 0.2, 0.3, 0.5]
_TRAINING: dict[str, dict[str, Any]] = {
    "classification": {"epochs": 12, "batch_size": 64, "learning_rate": 0.1},
    "next-token": {"epochs": 4, "batch_size": 32, "optimiser": "adamw", "learning_rate": 0.005},
}
_LONGEST_NAME = 60


def init_session(
    file: Path,
    console: Console,
    *,
    architecture: str,
    dataset: str,
    weights: Sequence[Path] = (),
    seeds: Sequence[int] = (),
    root: str | None = None,
) -> None:
    """Write a study, and see that it can be read and begun.

    Parameters
    ----------
    file
        What to write; it must not be there.
    console
        Where is said what was written.
    architecture, dataset
        As the keys of a study.
    weights
        Files of networks that are trained already.
    seeds
        Of networks that are to be trained; where neither is given, two.
    root
        For everything that the study computes; by default a folder of its name in ``runs``.

    Raises
    ------
    ValueError, TypeError
        If the file is there or cannot be written, or network, data or weights are not what they must be:
        nothing is written.
    """
    _require_new(file)
    name = _dashed(file.stem) or "study"
    asked: dict[str, Any] = {"name": name[:_LONGEST_NAME].strip("-"), "dataset": dataset}
    asked |= {"architecture": architecture}
    asked |= {"seeds": list(seeds) or ([] if weights else list(_SEEDS)), "weights": _named(weights)}
    closing = {"epsilons": _EPSILONS, "root": root or f"runs/{asked['name']}"}
    study = validated({**asked, "images": 1, "folds": 0, **closing}, source="the options")
    seen = _look(study)
    text = draft(_values(study, seen) | closing, seen, editor_comment(file))
    _write(file, text)
    positions = f"{len(seen.chosen)} of {len(seen.layers)} layers, {seen.samples:,} {seen.items}"
    console.print(f"wrote {file}: {positions}", markup=False, highlight=False, soft_wrap=True)
    say = f"next: look at it, then spanmatch status {file} and spanmatch run {file}"
    console.print(say, markup=False, highlight=False, soft_wrap=True)


def _require_new(file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise _unwritable(file, "a file that is not there yet", "it is there", "choose another name")
    if not file.parent.is_dir():
        raise _unwritable(file, "in a folder that is there", "no such folder", "make it")


def _unwritable(file: Path, rule: str, reason: str, remedy: str) -> InputValueError:
    return InputValueError(f"`FILE` must be {rule}, got {str(file)!r} ({reason}); {remedy}")


def _dashed(name: str) -> str:
    """Return a name as a study may have it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _named(weights: Sequence[Path]) -> dict[str, str]:
    """Return each file with a name of its own, what it is called."""
    named: dict[str, str] = {}
    for number, path in enumerate(weights):
        name = _dashed(path.stem)
        named[name if name and name not in named else f"{name or 'network'}-{number}"] = str(path)
    return named


def _look(study: Study) -> Seen:
    """Build the network, and let two samples pass."""
    known = layer_list.layers_of(study)
    dataset = networks.load_source(study.source())
    chosen, left_out = _chosen(known, dataset)
    network = networks.build(study.architecture, dataset.held_out.shape, dataset.classes, study.width)
    return Seen(
        layers=known,
        chosen=chosen,
        left_out=left_out,
        parameters=sum(weights.numel() for weights in network.parameters()),
        training=None if dataset.training is None else len(dataset.training),
        held_out=len(dataset.held_out),
        items=dataset.items,
        inputs=dataset.inputs,
        task=dataset.task,
    )


def _chosen(known: "Sequence[networks.Layer]", dataset: "Dataset") -> tuple[list[str], dict[str, str]]:
    """Return the layers of `default`, or all where it has none; and why some of them are left out."""
    usual = [layer for layer in known if layer.is_activation]
    left_out = {layer.name: layer.problem for layer in usual if layer.problem}
    asked = [layer for layer in usual or known if not layer.problem]
    mask = dataset.held_out.mask
    if mask is not None:
        others = [layer for layer in asked if layer.positions not in (1, mask.shape[1])]
        left_out |= {layer.name: "other positions than the mask" for layer in others}
        asked = [layer for layer in asked if layer not in others]
    if not asked:
        raise InputValueError(
            f"`--architecture` must have a layer that can be compared, got none of {len(known)}: "
            f"{'; '.join(f'{layer.name} gives {layer.problem}' for layer in known if layer.problem)}"
        )
    return [layer.name for layer in asked], left_out


def _values(study: Study, seen: Seen) -> dict[str, Any]:
    """Return what the study says before its layers."""
    checkpoints = ["initial", "final"] if study.seeds else ["final"]
    moments = len(study.seeds) * len(checkpoints) + len(study.weights)
    positions, activations = advised(seen, moments)
    values: dict[str, Any] = {key: getattr(study, key) for key in ("name", "dataset", "architecture")}
    if study.seeds:
        values |= {"seeds": study.seeds, "training": _training(seen)}
    if study.weights:
        values |= {"weights": study.weights}
    values |= {"checkpoints": checkpoints, "images": seen.samples}
    return values | {"positions": positions, "activations": activations}


def _training(seen: Seen) -> dict[str, Any]:
    """Return how to train for what the data are for, without a last batch of one."""
    training = _TRAINING.get(seen.task, _TRAINING["classification"])
    usual, images = training["batch_size"], seen.training or 0
    return {**training, "batch_size": next((n for n in range(usual, 2 * usual) if images % n != 1), usual)}


def _write(file: Path, text: str) -> None:
    """Write the study, and take it away again where it cannot be begun."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unwritable(file, "a file that can be written", reason, "choose another") from None
    try:
        written = read_study(file)
        resolve(written)
    except SpanmatchError:
        file.unlink()
        raise
