"""Checks of a study that need more than the study: names, image counts, layers, root, scheduler.

Apart from the model because they look at what is installed and at the world; all of them come before any
work, the quick ones first.
"""

import difflib
import json
from collections.abc import Collection
from functools import cache
from importlib.metadata import version
from pathlib import Path

import spanmatch.networks
from flows.setting import Setting
from flows.study import Study
from spanmatch.networks.catalogue import ARCHITECTURE_NAMES, HELD_OUT_IMAGES, held_out_images, require_dataset
from storage.digests import file_digest, json_digest
from storage.root import Root


def check_names(study: Study) -> None:
    """See that data set and architecture exist and that there are enough images. Takes no time.

    Raises
    ------
    ValueError
        If not.
    """
    require_dataset(study.dataset)
    _require("architecture", study.architecture, ARCHITECTURE_NAMES)
    most = held_out_images(study.dataset)
    if most is not None and study.images > most:
        message = (
            f"`images` must be at most {most} (the held-out images of {study.dataset!r}), "
            f"got {study.images}; take fewer"
        )
        raise ValueError(message)


def look_up(study: Study, root: Root | None = None) -> Setting:
    """Resolve the study's layers and digest its data.

    Loads torch and the data, which takes seconds, unless `root` remembers the answer from an earlier run
    with the same code and the same versions of the packages that it depends on. What a folder of images or
    somebody's own function holds may have changed, so that is looked up every time.

    Raises
    ------
    ValueError
        If a layer is unknown.
    """
    question = json_digest([study.dataset, study.architecture, study.layers, _code_digest()])
    memory = None
    if root is not None and study.dataset in HELD_OUT_IMAGES:
        memory = root.cache / "settings" / question
    if memory is not None and (remembered := _remembered(memory)) is not None:
        return remembered
    setting = Setting(_layers(study.architecture, tuple(study.layers)), *_digests(study.dataset))
    if root is not None and memory is not None and root.path.exists():
        root.write_text(memory, json.dumps(setting._asdict()))
    return setting


def _remembered(memory: Path) -> Setting | None:
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        return Setting(tuple(found["layers"]), found["dataset_digest"], found["held_out_digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _code_digest() -> str:
    """Digest of all that names of layers and digests of data depend on, without importing it."""
    folder = Path(spanmatch.networks.__file__).parent
    sources = {str(path.relative_to(folder)): file_digest(path) for path in folder.rglob("*.py")}
    return json_digest([sources, [version(name) for name in ("torch", "torchvision", "scikit-learn")]])


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
