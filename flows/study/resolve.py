"""Checks of a study against the world: data, images, layers, weights, other studies, device.

All come before any work, the quick ones first.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

from flows.study.comparisons import comparisons
from flows.study.file import read_study
from flows.study.model import Study, require_enough
from flows.study.resolved import Resolved, ResolvedOther
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
            return remembered
    resolved = _resolved_anew(study, weights)
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
    known = _layers(study, dataset)
    others = {name: _other(name, path, dataset) for name, path in study.others.items()}
    found = networks.choose(known, study.wanted_layers())
    networks.check_mask(dataset.held_out.mask, {layer.name: layer.positions for layer in found.layers})
    dimensions = {layer.name: layer.said for layer in found.layers if layer.said is not None}
    others = {
        name: (other, networks.as_if_said(layers, dimensions)) for name, (other, layers) in others.items()
    }
    chosen, left_out = _shared(study, found, others)
    passed_over = {layer: f"it gives {problem}" for layer, problem in found.left_out.items()}
    comparisons(study, {name: other.study for name, (other, _) in others.items()})
    return Resolved(
        layers=chosen,
        neurons=dimensions,
        sizes={layer.name: (layer.neurons, _samples(study, layer.positions)) for layer in found.layers},
        dataset_digest=dataset.digest,
        held_out_digest=dataset.held_out.digest,
        held_out=len(dataset.held_out),
        code=project_digest(study.architecture),
        weights=weights,
        others={name: other for name, (other, _) in others.items()},
        left_out={**passed_over, **left_out},
    )


def _samples(study: Study, positions: int) -> int:
    """Return how many of a layer's positions are samples of an image."""
    if study.positions == "mean":
        return 1
    return positions if study.positions == "all" else min(positions, study.positions)


def _layers(study: Study, dataset: "networks.Dataset") -> "tuple[networks.Layer, ...]":
    """Build the study's network, see that it can be trained or takes its weights, and list its layers."""
    network = networks.build(study.architecture, dataset.held_out.shape, dataset.classes, study.width)
    if study.seeds:
        networks.require_trainable(dataset, study.training.recipe())
        if is_factory(study.architecture):
            networks.require_classifier(network, dataset)
    for name, path in study.weights.items():
        try:
            networks.fit_weights(network, networks.read_weights(Path(path).expanduser()))
        except networks.WeightsError as error:
            raise InputValueError(f"{error} (of {name!r})") from None
    return networks.list_layers(network, dataset.held_out)


def _other(
    name: str, path: str, dataset: "networks.Dataset"
) -> "tuple[ResolvedOther, tuple[networks.Layer, ...]]":
    study = read_study(Path(path))
    theirs = networks.load_source(study.source())
    if theirs.held_out.shape != dataset.held_out.shape:
        raise InputValueError(
            f"`others` must be trained on images of shape {dataset.held_out.shape}, as these are, got "
            f"{theirs.held_out.shape} in {name!r} ({path}); compare studies of one kind of image"
        )
    layers = _layers(study, theirs)
    code, weights = project_digest(study.architecture), _weights_digests(study)
    return ResolvedOther(study, theirs.digest, code, weights), layers


def _shared(
    study: Study,
    found: "networks.Chosen",
    others: "Mapping[str, tuple[ResolvedOther, tuple[networks.Layer, ...]]]",
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return those of the chosen layers that all studies have, and why not the rest; refuse named ones."""
    chosen, positions = found.names, {layer.name: layer.positions for layer in found.layers}
    left_out: dict[str, str] = {}
    for name, (_, layers) in others.items():
        theirs = {layer.name: layer for layer in layers if not layer.problem}
        missing = [layer for layer in chosen if layer not in theirs]
        named = [layer for layer in missing if layer in dict(study.wanted_layers())]
        if named or len(missing) == len(chosen):
            raise InputValueError(
                f"`layers` must be there in the networks of {name!r} too, got {(named or missing)[0]!r}, "
                f"which is not one of: {', '.join(theirs)}; name layers that both have"
            )
        problems = {layer.name: layer.problem for layer in layers}
        for layer in missing:
            gives = f"give {problems[layer]} there" if layer in problems else "have no such layer"
            left_out[layer] = f"the networks of {name!r} {gives}"
        chosen = tuple(layer for layer in chosen if layer in theirs)
        for layer in chosen:
            if theirs[layer].positions != positions[layer] and study.positions != "mean":
                raise InputValueError(
                    f"`layers` must have as many positions in both networks, got {positions[layer]} and "
                    f"{theirs[layer].positions} of {layer!r} in {name!r}; set `positions` to mean, or leave "
                    "that layer out"
                )
    return chosen, left_out


def _require_images(study: Study, held_out: int | None) -> None:
    """See that there are as many images as the study asks for, and enough for its folds and permutations."""
    if held_out is None:
        return
    if study.images == "all":
        require_enough(study, held_out)
    elif study.images > held_out:
        raise InputValueError(
            f"`images` must be at most {held_out} (the held-out images of {study.dataset!r}), "
            f"got {study.images}; take fewer, or all; `held_out: all` compares networks that are given as "
            "`weights` on every image"
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
        sizes = {layer: (neurons, positions) for layer, (neurons, positions) in found["sizes"].items()}
        return Resolved(**{**found, "layers": tuple(found["layers"]), "sizes": sizes})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@cache
def _code_digest() -> str:
    """Digest of all that names of layers and digests of data depend on, without importing it."""
    folder = Path(networks.__file__).parent
    sources = {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob("*.py"))}
    return json_digest([sources, [version(name) for name in ("torch", "torchvision", "scikit-learn")]])
