"""Mended faults of shapes, advice, and of what a study can say of its images; see test_faults.py."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY
from faults import Fault
from made import whole
from PIL import Image
from rich.console import Console
from torch import nn

from flows.command.screen import Bars
from flows.run.plan import wanted
from flows.study import resolve as checks
from flows.study.model import Study, validated
from flows.study.resolved import Resolved
from spanmatch.networks.architectures import build
from spanmatch.networks.data import Dataset, Images, load_source
from spanmatch.networks.layers import choose
from spanmatch.networks.probing import list_layers

SHAPES = [(500,), (1,), (), (3, 4), (3, 4, 5, 6), (2, 1, 3, 2, 2)]


def samples(*shape: int) -> Dataset:
    """Six samples of a shape, without labels, and none to train on."""
    stored = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
    return Dataset("made", None, Images(stored, np.zeros(6, np.int64), tuple("abcdef")), 1)


class Dense(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.fc, self.relu = nn.Linear(size, 4), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.fc(x.reshape(len(x), -1)))


def dense(shape: tuple[int, ...]) -> nn.Module:
    return Dense(int(np.prod(shape)))


def _any_shape(shape: tuple[int, ...], _: Path) -> None:
    data = samples(*shape)
    network = build(f"{__name__}:dense", data.held_out.shape, data.classes).eval()
    assert choose(list_layers(network, shape), ["default"]).names == ("relu",)
    found = whole(network, ("relu",), data.held_out)["relu"]
    with torch.inference_mode():
        wanted = network(torch.from_numpy(data.held_out.pixels)).numpy()
    assert np.allclose(found.reshape(6, 4), wanted, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"`shape` must be \(channels, height, width\) of an image|`shape` of"
    ):
        build("resnet20", data.held_out.shape, 10)


FAULTS = [
    Fault(10, f"samples of shape {shape}", "refused as no image", "compared", partial(_any_shape, shape))
    for shape in SHAPES
]


def _no_array(make: Callable[[], dict[str, object]], says: str, _: Path) -> None:
    good = {"stored": np.zeros((2, 3), np.float32), "labels": np.zeros(2, np.int64), "ids": ("a", "b")}
    with pytest.raises(TypeError, match=says):
        Images(**{**good, **make()})


FAULTS += [
    Fault(
        10,
        case,
        "'must be int64, got torch.int64', or a traceback",
        "the remedy",
        partial(_no_array, make, says),
    )
    for case, make, says in (
        (
            "labels as a tensor",
            lambda: {"labels": torch.zeros(2).long()},
            r"`labels` .* torch.Tensor; .* \.numpy",
        ),
        (
            "images as a tensor",
            lambda: {"stored": torch.zeros(2, 3)},
            r"`stored` .* torch.Tensor; .* \.numpy",
        ),
        ("labels as a list", lambda: {"labels": [0, 1]}, r"`labels` .* builtins.list; .* numpy.asarray"),
        (
            "images as a list",
            lambda: {"stored": [[0.0], [1.0]]},
            r"`stored` .* builtins.list; .* numpy.asarray",
        ),
        (
            "float64 images",
            lambda: {"stored": np.zeros((2, 3))},
            "`stored` must be uint8 or float32, got float64",
        ),
    )
]


def _drawn(changes: dict[str, object], words: str, folder: Path) -> None:
    with (folder / "screen").open("w+") as file:
        study = Study.model_validate({**_STUDY, **changes})
        resolved = Resolved(
            ("block2.relu2",), "data", "images", 599, weights=dict.fromkeys(study.weights, "w")
        )
        with Bars(Console(file=file, width=200), wanted(study, resolved)) as bars:
            bars.planned("networks", 2, 2)
        file.seek(0)
        assert words in file.read()


_STUDY = {**TINY, "dataset": "digits", "architecture": "vgg9-digits", "root": "root"}
_GIVEN = {"seeds": [], "weights": {"a": "a.pt", "b": "b.pt"}}

FAULTS += [
    Fault(10, f"the bar of {case}", "train networks", words, partial(_drawn, changes, words))
    for case, changes, words in (
        ("networks that are given", _GIVEN, "take networks over (files)"),
        ("both", {"weights": {"a": "a.pt"}}, "train networks, take over others (epochs, files)"),
        ("networks that are trained", {}, "train networks (epochs)"),
    )
]


def _folder_study(folder: Path, **changes: object) -> Study:
    for label in ("cat", "dog"):
        for number in range(3):
            place = folder / label / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((10 + number, 12), 51 * number, np.uint8)).save(place)
    given = {
        "dataset": f"folder:{folder}",
        "held_out": "all",
        "images": "all",
        "preprocessing": {"mean": [0.2], "deviation": [0.5], "resize": 8, "crop": 8},
    }
    return Study.model_validate({**_STUDY, **_GIVEN, **given, **changes})


def _all_images(folder: Path) -> None:
    study = _folder_study(folder, segment_images=4)
    held_out = load_source(study.source()).held_out
    assert held_out.ids == tuple(f"{label}/{number}.png" for label in ("cat", "dog") for number in range(3))
    assert study.segments(len(held_out)) == [(0, 4), (4, 6)]
    assert held_out.shape == (1, 8, 8)
    assert np.allclose(held_out.pixels[4], (0.2 - 0.2) / 0.5)
    assert np.allclose(held_out.pixels[5], (0.4 - 0.2) / 0.5)


def _both_parts(folder: Path) -> None:
    _folder_study(folder / "train")
    _folder_study(folder / "val")
    study = _folder_study(folder / "unused").model_copy(update={"dataset": f"folder:{folder}"})
    ids = load_source(study.source()).held_out.ids
    assert [one.split("/")[0] for one in ids] == ["train"] * 6 + ["val"] * 6
    everything = load_source(Study.model_validate({**_STUDY, **_GIVEN, "held_out": "all"}).source())
    assert len(everything.held_out) == 1797


def _identity(folder: Path) -> None:
    digests = {
        load_source(_folder_study(folder, preprocessing=values).source()).digest
        for values in (
            {"mean": [0.2], "deviation": [0.5], "resize": 8, "crop": 8},
            {"mean": [0.3], "deviation": [0.5], "resize": 8, "crop": 8},
            {"mean": [0.2], "deviation": [0.6], "resize": 8, "crop": 8},
            {"mean": [0.2], "deviation": [0.5], "resize": 9, "crop": 8},
            {"mean": [0.2] * 3, "deviation": [0.5] * 3, "resize": 8, "crop": 8},
        )
    }
    assert len(digests) == 5


def _said(changes: dict[str, object], says: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=says):
        checks.check_names(validated({**_folder_study(folder).model_dump(), **changes}, "a test"))


FAULTS += [
    Fault(
        10, "every image of a folder", "every fifth, if there are five", "all, as the study says", _all_images
    ),
    Fault(10, "every image of train and val, of digits", "those of val", "all", _both_parts),
    Fault(
        10, "one's own mean and deviation", "only by a factory", "from the study, and identified", _identity
    ),
]
FAULTS += [
    Fault(10, f"a study with {changes}", "-", "one sentence", partial(_said, changes, says))
    for changes, says in (
        ({"seeds": [0, 1]}, "`held_out` must be split where networks are trained, got all with seeds"),
        (
            {"dataset": "digits"},
            "`preprocessing` must be left out but for folder:PATH, got some for 'digits'",
        ),
        (
            {"preprocessing": {"mean": [0.1, 0.2], "deviation": [1]}},
            "`preprocessing` must have one mean and dev",
        ),
        (
            {"preprocessing": {"mean": [0.1], "deviation": [0]}},
            "`preprocessing.deviation` must be greater than 0",
        ),
        ({"preprocessing": {"mean": [0.1], "std": [1]}}, "`preprocessing.std` is not a key of a study"),
        ({"images": "every"}, "`images` must be a number of samples from 1, or all, got 'every'"),
        ({"images": True}, "`images` must be a number of samples from 1, or all, got True"),
        ({"held_out": "none"}, "`held_out` must be 'split' or 'all', got 'none'"),
    )
]
