"""Checks of a study that need more than the study: names, image counts, layers, root, scheduler.

Apart from the model because they look at what is installed and at the world; all of them come before any
work, the quick ones first.
"""

import difflib
from collections.abc import Collection
from functools import cache

from flows.plan import Setting
from flows.study import Study
from spanmatch.networks.catalogue import ARCHITECTURE_NAMES, HELD_OUT_IMAGES


def check_names(study: Study) -> None:
    """See that data set and architecture exist and that there are enough images. Takes no time.

    Raises
    ------
    ValueError
        If not.
    """
    _require("dataset", study.dataset, HELD_OUT_IMAGES)
    _require("architecture", study.architecture, ARCHITECTURE_NAMES)
    most = HELD_OUT_IMAGES[study.dataset]
    if study.images > most:
        message = (
            f"`images` must be at most {most} (the held-out images of {study.dataset!r}), got {study.images}; "
            "take fewer"
        )
        raise ValueError(message)


def look_up(study: Study) -> Setting:
    """Resolve the study's layers and digest its data. Loads torch: seconds.

    Raises
    ------
    ValueError
        If a layer is unknown.
    """
    dataset_digest, held_out_digest = _digests(study.dataset)
    return Setting(_layers(study.architecture, tuple(study.layers)), dataset_digest, held_out_digest)


@cache
def _digests(dataset: str) -> tuple[str, str]:
    from spanmatch.networks.data import load_dataset  # scikit-learn takes a second to import

    loaded = load_dataset(dataset)
    return loaded.digest, loaded.held_out.digest


@cache
def _layers(architecture: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    from spanmatch.networks.activations import default_layers, layer_names  # torch: seconds
    from spanmatch.networks.architectures import build

    network = build(architecture)
    known = layer_names(network)
    chosen: set[str] = set()
    for name in wanted:
        if name == "default":
            chosen.update(default_layers(network))
        else:
            _require("layers", name, known)
            chosen.add(name)
    return tuple(name for name in known if name in chosen)


def _require(argument: str, name: str, known: Collection[str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {near[0]!r}? " if near else ""
    message = f"`{argument}` must be one of: {', '.join(known)}; got {name!r}; {remedy}".rstrip("; ")
    raise ValueError(message)
