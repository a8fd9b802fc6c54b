"""Mended faults of what a study reads: sources, image folders, weights, data; see test_faults.py."""

from functools import partial
from pathlib import Path
from typing import Any

import faults_outputs
import faults_shapes
import faults_sources
import faults_weights
import pytest
from cases import random_bytes
from conftest import TINY
from faults import Fault
from PIL import Image

from flows.study.file import read_study
from flows.study.model import validated
from spanmatch.errors import SpanmatchError
from spanmatch.networks import architectures, catalogue
from spanmatch.networks.data import Preprocessing, image_folder, load_dataset


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


def _splits(names: tuple[str, ...], folder: Path) -> None:
    for name in names:
        write_images(folder, *(f"{name}/{label}/{number}.png" for label in "ab" for number in range(5)))
    with pytest.raises(SpanmatchError, match=r"rename the two to train and val, or give folder:.*/"):
        load_dataset(f"folder:{folder}")
    assert load_dataset(f"folder:{folder / names[0]}").classes == 2


def _classes_called_so(folder: Path) -> None:
    write_images(folder, *(f"{label}/{number}.png" for label in ("test", "dev") for number in range(5)))
    assert load_dataset(f"folder:{folder}").classes == 2


def _deep_pixels(folder: Path) -> None:
    write_images(folder, *(f"{label}/{number}.png" for label in "ab" for number in range(5)))
    deep = random_bytes(8, 8, seed=1).astype("uint16") * 200
    Image.fromarray(deep).save(folder / "a/0.png")
    cut = Preprocessing((0.5,), (0.5,), resize=8, crop=8)
    with pytest.raises(SpanmatchError, match=r"a/0.png' \(mode I.*, where 8 bits a channel are wanted\)"):
        image_folder(folder, preprocessing=cut, held_out="all").held_out.raw(range(10))


def _scale(mean: float, deviation: float, folder: Path) -> None:
    values = {"mean": [mean], "deviation": [deviation]}
    with pytest.raises(SpanmatchError, match="divide those of bytes by 255"):
        validated({**TINY, "dataset": f"folder:{folder}", "preprocessing": values}, "it")


def _twice(text: str, says: str, folder: Path) -> None:
    (folder / "study.yaml").write_text(text)
    with pytest.raises(SpanmatchError, match=says):
        read_study(folder / "study.yaml")


FAULTS += [
    *(
        Fault(5, f"{' and '.join(names)} with classes", "two classes", "refused", partial(_splits, names))
        for names in (("train", "test"), ("Train", "Val"), ("training", "validation"), ("train", "dev"))
    ),
    Fault(5, "classes called test and dev", "two classes", "two classes", _classes_called_so),
    Fault(5, "16-bit images that are resized and cropped", "clipped to white", "refused", _deep_pixels),
    *(
        Fault(10, f"mean {mean}, deviation {deviation}", "standardised to nonsense", "refused", check)
        for mean, deviation in ((123.675, 58.395), (0.5, 58.0), (-0.1, 0.2), (0.5, 1e-9))
        for check in [partial(_scale, mean, deviation)]
    ),
    *(
        Fault(10, f"a key twice: {says}", "the last one", "refused", partial(_twice, text, says))
        for text, says in (
            ("seeds: [0]\nname: a\nseeds: [1]\n", "'seeds' is given twice, in lines 1 and 3"),
            ("weights:\n  net: a.pt\n  net: b.pt\n", "'net' is given twice, in lines 2 and 3"),
        )
    ),
]


def _one_sentence(changes: dict[str, Any], says: str, _: Path) -> None:
    with pytest.raises(SpanmatchError) as raised:
        validated({**TINY, "dataset": "digits", "architecture": "vgg9-digits", "root": "r", **changes}, "it")
    sentence, source = str(raised.value).splitlines()
    assert says in sentence
    assert source == "(in it)"


FAULTS += [
    Fault(10, f"a study with {changes}", before, "one sentence", partial(_one_sentence, changes, says))
    for changes, before, says in (
        ({"layers": [{"name": "a", "neurons": "first"}]}, "three sentences", "`layers` must hold names"),
        ({"layers": [3]}, "two sentences", "`layers` must hold names"),
        ({"weights": {"A": "a.pt"}}, "`weights.A.[key]`", "`weights` must have names of lower-case"),
        ({"epsilons": [False]}, "taken for 0", "`epsilons` must be a number, got false"),
        ({"width": True}, "taken for 1", "`width` must be a number, got true"),
        ({"measures": [["svcca"]]}, "a traceback", "`measures` must be one of: maximum-match"),
    )
]
