"""Checks of a study against the world: data, images, layers, weights, other studies, device.

All come before any work, the quick ones first.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flows.study.comparisons import comparisons
from flows.study.file import read_study
from flows.study.model import Study, require_enough
from flows.study.pairing import check_mask, check_pairs, described, own_layers, shared_layers
from flows.study.resolved import Resolved, ResolvedOther, Shape
from spanmatch import networks
from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import (
    HELD_OUT_IMAGES,
    check_architecture,
    held_out_images,
    is_factory,
    require_dataset,
)
from spanmatch.networks.project import project_digest
from spanmatch.reporting import Terms
from storage.digests import file_digest, json_digest
from storage.places import UnusableRootError
from storage.root import Root


def check_names(study: Study) -> None:
    """See that data set and architecture are known and that there are enough images. Takes no time.

    Raises
    ------
    ValueError
        If not.
    """
    require_dataset(study.dataset)
    check_architecture(study.architecture)
    if study.held_out == "split":
        _require_images(study, held_out_images(study.dataset))
    if not study.others:
        comparisons(study, {})


def is_plain(study: Study) -> bool:
    """Tell whether nothing can be wrong with the study that `check_names` does not see."""
    return (
        study.dataset == "digits"
        and study.architecture == "vgg9-digits"
        and study.width == 1
        and study.layers == ["default"]
        and study.pairs == "same"
        and not (study.weights or study.others or study.training.mixed_precision)
        and study.device != "cuda"
    )


def resolve(study: Study, root: Root | None = None) -> Resolved:
    """Resolve the study's layers, and digest its data, weights and code.

    Loads torch and the data, which takes seconds, unless `root` remembers the answer from an earlier run
    with the same code and the same versions of the packages that it depends on. What a folder of images or
    somebody's own function holds may have changed, so that is looked up every time.

    Raises
    ------
    ValueError, TypeError
        If the study asks for what there is not, or what does not fit together.
    """
    _check_device(study)
    weights = _weights_digests(study)
    if root is not None and _is_cacheable(study):
        remembered = _remembered(root, _cache_place(study, weights))
        if remembered is not None:
            _require_images(study, remembered.held_out)
            check_pairs(study, remembered)
            return remembered
    resolved = _resolved_anew(study, weights)
    check_pairs(study, resolved)
    if root is not None and root.exists:
        remember(study, root, resolved)
    return resolved


def remember(study: Study, root: Root, resolved: Resolved) -> None:
    """Keep the answer of `resolve`, where it lasts, under a root that was not yet there when it looked."""
    place = _cache_place(study, resolved.weights)
    if _is_cacheable(study) and _remembered(root, place) != resolved:
        with suppress(OSError, UnusableRootError):  # on a full disk it is looked up again
            root.write_text(place, json.dumps(asdict(resolved)))


def _is_cacheable(study: Study) -> bool:
    return study.dataset in HELD_OUT_IMAGES and not is_factory(study.architecture) and not study.others


def _cache_place(study: Study, weights: Mapping[str, str]) -> str:
    return f"cache/settings/{_inputs_digest(study, weights)}"


def remembered_as(study: Study) -> str:
    """Return the key under which a root remembers what `resolve` found for the study."""
    return _inputs_digest(study, _weights_digests(study))


def _inputs_digest(study: Study, weights: Mapping[str, str]) -> str:
    inputs = [asdict(study.source()), study.architecture, study.width, study.wanted_layers(), weights]
    return json_digest([*inputs, _code_digest()])


def _resolved_anew(study: Study, weights: Mapping[str, str]) -> Resolved:
    networks.forget_datasets()
    dataset = networks.load_source(study.source())
    _require_images(study, len(dataset.held_out))
    known, foreseeing = _looked_at(study, dataset)
    found = networks.choose(known, study.wanted_layers())
    check_mask(dataset, found.layers)
    others = {name: _other(name, path, dataset) for name, path in study.others.items()}
    layers = shared_layers(study, found, others) if study.pairs == "same" else own_layers(found, others)
    for of_other in layers.others.values():
        check_mask(dataset, of_other)
    looked_up = {
        name: replace(other, **described(layers.others[name])) for name, (other, _) in others.items()
    }
    comparisons(study, {name: other.study for name, other in looked_up.items()})
    passed_over = {layer: f"it gives {problem}" for layer, problem in found.left_out.items()}
    return Resolved(
        **described(layers.own),
        dataset_digest=dataset.digest,
        held_out_digest=dataset.held_out.digest,
        held_out=len(dataset.held_out),
        code=project_digest(study.architecture),
        weights=weights,
        others=looked_up,
        left_out={**passed_over, **layers.left_out},
        terms=_terms(dataset),
        foreseeing=foreseeing,
    )


def _terms(dataset: "networks.Dataset") -> dict[str, Any]:
    """Return what the data set and its task call things, where it is not as of images that are classified."""
    task = dataset.trained_for
    said = {"items": dataset.items, "accuracy": task.accuracy, "perplexity": task.perplexity}
    usual = asdict(Terms())
    return {name: value for name, value in said.items() if value != usual[name]}


def _looked_at(study: Study, dataset: "networks.Dataset") -> "tuple[tuple[networks.Layer, ...], bool]":
    """Build the study's network, and see that it can be trained or takes its weights.

    Returns its layers, and whether it sees what it is to predict where weights are given.
    """
    network = networks.build(study.architecture, dataset.held_out.shape, dataset.classes, study.width)
    if study.seeds:
        networks.require_trainable(dataset, study.training.recipe())
        if is_factory(study.architecture):
            networks.require_logits(network, dataset)
    for name, path in study.weights.items():
        try:
            networks.fit_weights(network, networks.read_weights(Path(path).expanduser()))
        except networks.WeightsError as error:
            raise InputValueError(f"{error} (of {name!r})") from None
    foreseeing = bool(study.weights) and networks.foresees(network, dataset)
    return networks.list_layers(network, dataset.held_out), foreseeing


def _other(
    name: str, path: str, dataset: "networks.Dataset"
) -> "tuple[ResolvedOther, tuple[networks.Layer, ...]]":
    study = read_study(Path(path))
    theirs = networks.load_source(study.source())
    if theirs.held_out.signature != dataset.held_out.signature:
        raise InputValueError(
            f"`others` must be trained on {dataset.items} of the kind and shape {dataset.inputs}, as these "
            f"are, got {theirs.inputs} in {name!r} ({path}); compare studies of one kind of data"
        )
    layers, _ = _looked_at(study, theirs)
    code, weights = project_digest(study.architecture), _weights_digests(study)
    return ResolvedOther(study, theirs.digest, code, weights), layers


def _require_images(study: Study, held_out: int | None) -> None:
    """See that there are as many images as the study asks for, and enough for its folds and permutations."""
    if held_out is None:
        return
    if study.images == "all":
        require_enough(study, held_out)
    elif study.images > held_out:
        raise InputValueError(
            f"`images` must be at most {held_out} (the held-out samples of {study.dataset!r}), "
            f"got {study.images}; take fewer, or all; `held_out: all` compares networks that are given as "
            "`weights` on every sample"
        )


def _check_device(study: Study) -> None:
    """See that the device is there; workers of another scheduler see for themselves."""
    if study.scheduler is not None or (study.device != "cuda" and not study.training.mixed_precision):
        return
    if networks.resolve_device(study.device) == "cpu" and study.training.mixed_precision:
        raise InputValueError(
            "`mixed_precision` must be false without a CUDA device, got true; leave it out, or see to the GPU"
        )


def _weights_digests(study: Study) -> dict[str, str]:
    return {name: _weights_digest(name, path) for name, path in study.weights.items()}


def _weights_digest(name: str, path: str) -> str:
    try:
        return file_digest(Path(path).expanduser())
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in its path, and no such user, too
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputValueError(
            f"`weights` must be files that can be read, got {path!r} for {name!r} ({reason}); "
            "paths start from the current folder"
        ) from None


def _remembered(root: Root, place: str) -> Resolved | None:
    try:
        found = json.loads(root.read(place))
        shapes = {layer: Shape(tuple(map_), neurons) for layer, (map_, neurons) in found["shapes"].items()}
        return Resolved(**{**found, "layers": tuple(found["layers"]), "shapes": shapes})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@cache
def _code_digest() -> str:
    """Digest of all that names of layers and digests of data depend on, without importing it."""
    folder = Path(networks.__file__).parent
    sources = {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob("*.py"))}
    return json_digest([sources, [version(name) for name in ("torch", "torchvision", "scikit-learn")]])
