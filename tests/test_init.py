"""`spanmatch init`: a study of one's own network and data as they are found to be, or words and no file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from pipeline import quick
from safetensors.numpy import save_file
from typer.testing import CliRunner

from flows.command import cli
from flows.command.draft import ROOM, Seen, advised
from flows.study.file import read_study
from flows.study.layer_list import as_compared, layers_of
from flows.study.schema import editor_comment, study_schema
from spanmatch.networks import build
from spanmatch.networks.resume import weights_of

Init = Callable[..., str]

NETWORKS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, shape=(1, 6, 6), classes=3):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], 5, 3, padding=1)
        self.bend = nn.ReLU()
        self.head = nn.Linear(5 * 36, classes)

    def forward(self, x):
        return self.head(torch.tanh(self.bend(self.conv(x))).flatten(1))

def build(shape, classes):
    return Net(shape, classes)

def straight(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 40), nn.Linear(40, classes))

def unclear(classes):
    class Turned(nn.Module):
        def forward(self, x):
            return torch.relu(torch.sort(x, dim=0).values).sum()
    return Turned()

def nothing():
    return "a network"

def broken():
    raise RuntimeError("no such checkpoint")
"""
DATA = """
import numpy as np
from spanmatch.networks import Dataset, Images

def part(name, count):
    pixels = np.random.default_rng(0).normal(size=(count, 1, 6, 6)).astype(np.float32)
    return Images(pixels, np.arange(count) % 3, tuple(f"{name}/{i}" for i in range(count)))

def load():
    return Dataset("mine", part("training", 65), part("held-out", 30), 3)

def untrained():
    return Dataset("mine", None, part("held-out", 30), 3)

def none():
    return None
"""
OWN = ("--architecture", "own_net:build", "--dataset", "own_data:load")


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    """The command in the process of the tests, in a folder with a module of networks and one of data."""
    (tmp_path / "own_net.py").write_text(NETWORKS)
    (tmp_path / "own_data.py").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cli.console, "width", 400)

    def run(*args: object, expect: int = 0) -> str:
        done = CliRunner().invoke(cli.app, ["init", *map(str, args)], catch_exceptions=False)
        assert done.exit_code == expect, done.output
        return done.output

    return run


def test_the_study_of_ones_own_network_says_what_was_seen(init: Init, tmp_path: Path) -> None:
    assert "wrote My Study.yaml: 2 of 5 layers, 30 images" in init("My Study.yaml", *OWN)
    path = tmp_path / "My Study.yaml"
    text = path.read_text(encoding="utf-8")
    study = read_study(path)
    assert text.splitlines()[0] == editor_comment(path)
    assert list(Draft202012Validator(study_schema()).iter_errors(yaml.safe_load(text))) == []
    assert (study.name, study.root, study.seeds) == ("my-study", "runs/my-study", [0, 1])
    assert study.training.batch_size == 65  # of 64, the last batch would have one image
    usual = quick(tmp_path, architecture="own_net:build", dataset="own_data:load", layers=["default"])
    known = layers_of(study)
    assert as_compared(study, known)[1] == as_compared(usual, known)[1] == set(study.layers)
    commented = [line.split()[2] for line in text.splitlines() if line.startswith("  # - ")]
    assert {*commented, *study.layers} == {layer.name for layer in known}
    # 5 neurons at 36 positions, twice, float32, of 30 images
    assert f"of 10 neurons and 30 images: {30 * 5 * 36 * 2 * 4 / 1000} kB of each network" in text
    assert f"{30 * 5 * 36 * 2 * 4 * 4 / 1000} kB of all 4; they are stored" in text
    assert "the data: 30 images held out, 65 to train on" in text.lower()
    assert f"The network: {5 * 9 + 5 + 3 * 180 + 3} parameters, 5 layers; 2 of them" in text


def test_what_is_written_by_hand_is_never_written_over(init: Init, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    assert "`FILE` must be a file that is not there yet, got 'mine.yaml'" in init(path.name, *OWN, expect=2)
    assert path.read_text() == "mine"


def test_weights_are_compared_as_they_are(init: Init, tmp_path: Path) -> None:
    for place, name in enumerate(("A b.safetensors", "c.safetensors")):
        (tmp_path / str(place)).mkdir()
        save_file(weights_of(build("vgg9-digits", (1, 8, 8), 10)), tmp_path / str(place) / name)
    files = ["0/A b.safetensors", "1/c.safetensors"]
    digits = ("--architecture", "vgg9-digits", "--dataset", "digits", "--root", "s3://bucket/it")
    init("given.yaml", *digits, "--weights", files[0], "--weights", files[1])
    study = read_study(tmp_path / "given.yaml")
    assert study.weights == {"a-b": files[0], "c": files[1]}
    assert (study.seeds, study.checkpoints, study.root) == ([], ["final"], "s3://bucket/it")
    said = init("other.yaml", *OWN, "--weights", files[0], "--weights", files[1], expect=2)
    assert "(of 'a-b')" in said
    said = init("other.yaml", *digits, "--weights", "gone.pt", "--weights", files[1], expect=2)
    assert "`weights` must be files that can be read, got 'gone.pt'" in said
    said = init("other.yaml", *digits, "--weights", files[0], expect=2)
    assert "`seeds` must hold at least two seeds to compare" in said
    assert not (tmp_path / "other.yaml").exists()


def test_a_network_without_activation_functions_has_all_its_layers_compared(
    init: Init, tmp_path: Path
) -> None:
    init("it.yaml", "--architecture", "own_net:straight", "--dataset", "own_data:load")
    assert len(read_study(tmp_path / "it.yaml").layers) == 3
    assert "all: none is the output of an activation function" in (tmp_path / "it.yaml").read_text()


@pytest.mark.parametrize(
    ("architecture", "dataset", "says"),
    [
        ("vgg99", "own_data:load", "`architecture` must be one of: vgg9-digits"),
        ("own_net.py:build", "own_data:load", "drop `.py`: own_net:build"),
        ("no_such:build", "own_data:load", "no_such"),
        ("own_net:biuld", "own_data:load", "biuld"),
        ("own_net:nothing", "own_data:load", "it returned str"),
        ("own_net:broken", "own_data:load", "no such checkpoint"),
        ("own_net:unclear", "own_data:load", "layer"),
        ("own_net:build", "own_data:none", "it returned NoneType"),
        ("own_net:build", "own_data:lost", "lost"),
        ("own_net:build", "own_data:untrained", "train"),
        ("own_net:build", "digits", "(1, 8, 8)"),
        ("own_net:build", "folder:nowhere", "nowhere"),
        ("own_net:build", "digitz", "did you mean 'digits'?"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words_and_nothing_is_written(
    architecture: str, dataset: str, says: str, init: Init, tmp_path: Path
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    printed = init("it.yaml", "--architecture", architecture, "--dataset", dataset, expect=2)
    assert says in printed.split("spanmatch: ")[-1]
    assert {path.name for path in tmp_path.iterdir()} - before <= {"__pycache__"}


def test_a_file_that_cannot_be_is_refused(init: Init, tmp_path: Path) -> None:
    assert "`FILE` must be in a folder that is there, got 'no/it.yaml'" in init("no/it.yaml", *OWN, expect=2)
    init("ß.yaml", *OWN)
    assert read_study(tmp_path / "ß.yaml").name == "study"


def test_what_finds_no_room_is_drawn_and_then_streamed(tmp_path: Path) -> None:
    known = {layer.name: layer for layer in layers_of(quick(tmp_path))}
    maps, units = (
        Seen([known[name]], [name], {}, 0, None, 20_000, "images", "", "classification")
        for name in ("block1.relu1", "classifier.relu1")
    )
    # 16 channels at 64 positions of 10,000 images; 64 units
    assert (maps.stored("all"), maps.stored(16)) == (10_000 * 16 * 64 * 4, 10_000 * 16 * 16 * 4)
    assert maps.stored("mean") == 10_000 * 16 * 4
    assert {units.stored(one) for one in ("all", 16, "mean")} == {10_000 * 64 * 4}
    whole, drawn, flat = (ROOM // of for of in (maps.stored("all"), maps.stored(16), units.stored("all")))
    assert [advised(maps, whole), advised(maps, whole + 1)] == [("all", "keep"), (16, "keep")]
    assert [advised(maps, drawn), advised(maps, drawn + 1)] == [(16, "keep"), (16, "stream")]
    assert [advised(units, flat), advised(units, flat + 1)] == [("all", "keep"), ("all", "stream")]
