"""Mended faults of what a study reads: sources, image folders, weights, data; see test_faults.py."""

from functools import partial
from pathlib import Path

import faults_outputs
import faults_shapes
import faults_sources
import faults_weights
import pytest
from cases import random_bytes
from faults import Fault
from PIL import Image

from spanmatch.networks import architectures, catalogue
from spanmatch.networks.data import load_dataset


def write_images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random_bytes(8, 8, seed=number)).save(path)


def _hidden(name: str, part: str, folder: Path) -> None:
    """See that an image below a hidden name changes neither the images nor their digest."""
    seen = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(5)]
    for prefix in {part, "train/", "val/"} if part else {""}:
        write_images(folder, *(f"{prefix}{image}" for image in seen))
    before = load_dataset(f"folder:{folder}")
    write_images(folder, f"{part}{name}")
    after = load_dataset(f"folder:{folder}")
    assert after.classes == before.classes == 2
    assert after.digest == before.digest
    write_images(folder, f"{part}cat/deeper/9.png")
    more = load_dataset(f"folder:{folder}")
    assert len(more.training.ids + more.held_out.ids) == len(before.training.ids + before.held_out.ids) + 1


HIDDEN = [
    *(".ipynb_checkpoints/a.png", "@eaDir/a.png", "__MACOSX/cat/._a.png", ".git/a.png", "$RECYCLE.BIN/a.png"),
    *("lost+found/a.png", "#recycle/a.png", "cat/.ipynb_checkpoints/0-checkpoint.png"),
    *("cat/@eaDir/0.png/SYNOPHOTO_THUMB.jpg", "cat/._0.png", "cat/.hidden.png", "dog/deeper/.thumbs/a.png"),
]

FAULTS = [
    Fault(
        5,
        f"{part}{name}",
        "one class more, or one image more",
        "no class and no image; images deeper in a class folder stay",
        partial(_hidden, name, part),
    )
    for part in ("", "train/", "val/")
    for name in HIDDEN
]


FAULTS += [*faults_sources.FAULTS, *faults_outputs.FAULTS, *faults_shapes.FAULTS, *faults_weights.FAULTS]


def _no_builder(_: Path) -> None:
    plain = {name for name in catalogue.ARCHITECTURE_NAMES if not name.endswith("-imagenet")}
    assert architectures.BUILDERS.keys() == plain
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "ARCHITECTURE_NAMES", ("densenet40",))
        with pytest.raises(KeyError, match="densenet40"):
            architectures.build("densenet40", (3, 32, 32), 10)


FAULTS += [
    Fault(14, "a family that the catalogue alone knows", "a CIFAR ResNet", "no builder: a bug", _no_builder)
]
