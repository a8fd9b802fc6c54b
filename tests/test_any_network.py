"""Studies of networks that are given, built by one's own code, or another study's, by the real command."""

import csv
import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from conftest import TINY, Environment, computed, ledger, measured, spanmatch, write_study
from faults_weights import prefixed
from in_process import spanmatch_here
from pipeline import in_this_process

from flows.study import resolve as checks
from flows.study.file import read_study
from spanmatch.networks.data import load_dataset

MINE = '''
from dataclasses import replace

from torch import nn
from spanmatch.networks.data import Dataset, load_dataset


def rows():
    """Digits, of which rows with little ink do not count."""
    digits = load_dataset("digits")
    held_out = replace(digits.held_out, mask=digits.held_out.stored[:, 0].sum(axis=2) > 40)
    return Dataset("rows", digits.training, held_out, 10)


class Encoder(nn.Module):
    """Rows of an image as tokens."""

    def __init__(self, width, classes):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.mix = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=24, batch_first=True)
        self.relu = nn.ReLU()
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.relu(self.embed(x[:, 0]))
        return self.head(self.mix(x).mean(dim=1))


def encoder(classes):
    return Encoder(12, classes)


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 5, 3), nn.ReLU()

    def forward(self, x):
        return {"embedding": self.relu(self.conv(x)).mean((2, 3))}


def no_network():
    return "a network"
'''


def similarity(root: Path) -> list[dict[str, str]]:
    with (root / "similarity.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_weights_that_are_given_match_the_network_that_they_are_of(
    tmp_path: Path, tiny_root: Path, copy_of, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    key = _key_of_seed_0(root)
    weights = {"twin": str(tiny_root / "networks" / key / "final.safetensors")}
    changes = {"weights": weights, "checkpoints": ["final"], "compare": ["seed0-final ~ twin-final"]}
    spanmatch_here("run", write_study(tmp_path, {**TINY, **changes}), "--root", root, *outside, env=env)
    # the twin's activations are the same to the bit, and so is what they have in common with seed 0's
    assert computed(root) == {
        "networks": 1,
        "segments": 2,
        "comoments": 0,
        "permuted": 0,
        "profiles": 2,
        "matches": 4,
        "measures": measured(2, 2),
        "exemplars": 0,
    }
    rows = similarity(root)
    assert len(rows) == 4
    for row in rows:
        assert row["matched_x"] == row["matched_y"] == str(int(row["neurons_x"]) - int(row["dead_x"]))
    for line in (root / "simple_matches.jsonl").read_text().splitlines():
        assert (found := json.loads(line))["x"] == found["y"]


def _key_of_seed_0(root: Path) -> str:
    """Name of the folder of the network whose checkpoint says that it comes from seed 0."""
    for folder in (root / "networks").iterdir():
        content = (folder / "final.safetensors").read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        if json.loads(header["__metadata__"]["spanmatch"])["seed"] == 0:
            return folder.name
    pytest.fail("no network of seed 0")


def test_a_further_checkpoint_touches_only_pairs_with_it(
    tmp_path: Path, tiny_root: Path, copy_of, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    before = {path: path.read_bytes() for path in (root / "networks").rglob("*.safetensors")}
    changes = {**TINY, "checkpoints": ["initial", "epoch1", "final"]}
    spanmatch_here("run", write_study(tmp_path, changes), "--root", root, *outside, env=env)
    assert ledger(root)["segments"] == {"computed": 4, "reused": 8}
    # of either network its own part and one with the other, of two layers and segments
    assert computed(root) == {
        "networks": 2,
        "segments": 4,
        "comoments": 12,
        "permuted": 0,
        "profiles": 2,
        "matches": 4,
        "measures": measured(2, 2),
        "exemplars": 0,
    }
    assert all(path.read_bytes() == content for path, content in before.items())


def test_networks_of_other_studies_are_compared(
    tmp_path: Path, tiny_root: Path, copy_of, outside: list[str], env: Environment
) -> None:
    root = copy_of(tiny_root)
    (tmp_path / "other").mkdir()
    other = write_study(tmp_path / "other", TINY)
    changes = {
        **TINY,
        "seeds": [5],
        "others": {"pair": str(other)},
        "compare": "others",
        "checkpoints": ["final"],
    }
    spanmatch_here("run", write_study(tmp_path, changes), "--root", root, *outside, env=env)
    assert ledger(root)["networks"] == {"computed": 1, "reused": 2}
    assert ledger(root)["segments"] == {"computed": 2, "reused": 4}
    pairs = {(row["checkpoint_x"], row["checkpoint_y"]) for row in similarity(root)}
    assert pairs == {("seed5-final", "pair/seed0-final"), ("seed5-final", "pair/seed1-final")}


def test_a_network_of_ones_own_is_found_in_the_current_folder(tmp_path: Path, env: Environment) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    layers = ["default", "mix", {"name": "mix.add", "neurons": 1}]
    changes = {**TINY, "dataset": "mine:rows", "architecture": "mine:encoder", "layers": layers}
    study = write_study(tmp_path, {**changes, "checkpoints": ["final"], "dtype": "float16"})
    listed = spanmatch("layers", study, env=env, folder=tmp_path)
    assert "TransformerEncoderLayer" in listed
    assert "images, 8 neurons, 12" in listed
    assert "images, 8, 12 neurons" in listed
    layers[-1]["neurons"] = "last"
    study = write_study(tmp_path, {**changes, "layers": layers, "checkpoints": ["final"]})
    spanmatch("run", study, "--root", tmp_path / "root", env=env, folder=tmp_path)
    rows = {row["layer"]: row for row in similarity(tmp_path / "root")}
    held_out = load_dataset("digits").held_out
    counted = int((held_out.stored[:90, 0].sum(axis=2) > 40).sum())
    assert 90 < counted < 8 * 90
    assert {row: (found["samples"], found["neurons_x"]) for row, found in rows.items()} == {
        "relu": (str(counted), "12"),
        "mix.relu": (str(counted), "24"),
        "mix.add": (str(counted), "12"),
        "mix": (str(counted), "12"),
    }


def test_networks_that_are_no_classifiers_have_no_accuracy_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: Environment
) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    embedder = importlib.import_module("mine").Embedder
    for name in ("a", "b"):
        torch.save(prefixed("model.", embedder().state_dict()), tmp_path / f"{name}.ckpt")
    changes = {"architecture": "mine:Embedder", "layers": "default", "checkpoints": ["final"]}
    given = {"seeds": [], "weights": {"a": "a.ckpt", "b": "b.ckpt"}}
    study = write_study(tmp_path, {**TINY, **changes, **given, "root": "root"})
    with in_this_process() as cluster:
        said = spanmatch_here("run", study, "--scheduler", cluster.address, env=env)
    rows = json.loads((tmp_path / "root" / "networks.json").read_text())
    assert [(row["accuracy"], row["loss"]) for row in rows] == [(None, None)] * 2
    said += spanmatch_here("report", study, env=env)
    assert "accuracy" not in said.lower()
    assert "accuracy" not in (tmp_path / "root" / "report.html").read_text().lower()
    assert {row["neurons_x"] for row in similarity(tmp_path / "root")} == {"5"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "mine:Embedder"}, "got dict of embedding for 2 images in training"),
        ({"architecture": "mine:nothing"}, "nothing"),
        ({"architecture": "mine:no_network"}, "nn.Module"),
        ({"architecture": "absent:encoder"}, "absent"),
        ({"layers": ["block3.relu9"]}, "did you mean 'block3.relu"),
        ({"layers": ["block9.*"]}, "`layers` must be"),
        ({"architecture": "vgg16"}, "vgg16"),
        ({"architecture": "resnt20"}, "did you mean 'resnet20'"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"dataset": "folder:nowhere"}, "nowhere"),
        ({"dataset": "cifar10", "data_folder": "nowhere"}, "cifar10"),
        ({"device": "cuda"}, "`device` must be present"),
        ({"weights": {"a": "nowhere.safetensors"}}, "`weights` must be files that can be read"),
        ({"weights": {"a": "wrong.pt"}}, "`weights` must"),
        ({"others": {"b": "nowhere.yaml"}, "compare": "others"}, "nowhere.yaml"),
        ({"training": {"images": 5000}}, "`training.images` must be from 1 to 1198"),
        ({"training": {"batch_size": 63}}, "`batch_size` must not leave a last batch of one,"),
    ],
)
def test_what_cannot_be_had_is_refused(tmp_path: Path, monkeypatch, changes, message: str) -> None:
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "wrong.pt").write_bytes(b"no weights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = write_study(tmp_path, {**TINY, **changes})
    with pytest.raises(ValueError, match=re.escape(message)):
        resolved(path)


def resolved(path: Path) -> None:
    study = read_study(path)
    checks.check_names(study)
    checks.resolve(study)


def test_layers_are_listed_beside_what_is_wrong_with_those_that_are_asked_for(
    tmp_path: Path, bare_env: Environment
) -> None:
    study = write_study(tmp_path, {**TINY, "layers": ["block2.relu9"]})
    listed = spanmatch("layers", study, env=bare_env, expect=2)
    assert "block2.relu2" in listed.partition("must be one of")[0]
    assert "did you mean 'block2.relu" in listed


def test_it_is_refused_before_anything_is_made(tmp_path: Path, bare_env: Environment) -> None:
    study = write_study(tmp_path, {**TINY, "architecture": "absent:encoder"})
    said = spanmatch("run", study, "--root", tmp_path / "root", env=bare_env, expect=2, folder=tmp_path)
    assert "absent" in said
    assert "Traceback" not in said
    assert not (tmp_path / "root").exists()
