"""A study of language models by the real command: sentences of one's own, in a dictionary, of any length."""

import csv
import importlib
import json
import math
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from conftest import TINY, Environment, spanmatch, write_study
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from flows.run.prepared import look
from flows.study.file import read_study
from flows.study.model import validated
from spanmatch import open_root
from spanmatch.networks.evaluation import evaluate
from spanmatch.networks.training_tasks.next_token import NEXT_TOKEN
from storage import result_files as files
from storage.root import Root

_IMAGES = re.compile(r"(?<!data:)\bimages?\b(?!/svg)", re.IGNORECASE)

MINE = '''
import numpy as np
import torch
from torch import nn

from spanmatch.networks.data import Dataset, Samples, padded


def sentences():
    """Made sentences of 2 to 9 tokens: each the token before it, plus its first."""
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(1, 5, 120), rng.integers(2, 10, 120)
    tokens, mask = padded([first * np.arange(1, n + 1) % 40 for first, n in zip(starts, lengths)])

    def part(chosen):
        inputs = {"input_ids": tokens[chosen], "attention_mask": mask[chosen].astype(np.int64)}
        ids = tuple(f"sentence/{row}" for row in np.flatnonzero(chosen))
        return Samples(inputs, ids, labels=tokens[chosen], items="sentences")

    def show(name):
        row = int(name.removeprefix("sentence/"))
        return [f"word {token}" for token in tokens[row][mask[row]]]

    held_out = np.arange(120) % 3 == 0
    return Dataset("mine", part(~held_out), part(held_out), classes=40, task="next-token", show=show)


class Model(nn.Module):
    """Called by name, with logits in a dictionary, as language models of a hub are."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.past = nn.GRU(16, 16, batch_first=True)
        self.mlp, self.act = nn.Linear(16, 24), nn.GELU()
        self.head = nn.Linear(24, 40)

    def forward(self, input_ids=None, attention_mask=None):
        z = self.embed(input_ids) * attention_mask.unsqueeze(2)
        return {"logits": self.head(self.act(self.mlp(self.past(z)[0]))), "states": z}


def model():
    return Model().bfloat16()


class Masked(Model):
    """Reads sentences from their ends, so that it sees what follows."""

    def forward(self, input_ids=None, attention_mask=None):
        return super().forward(input_ids.flip(1), attention_mask.flip(1))["logits"].flip(1)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    (folder / "sentences_of_mine.py").write_text(MINE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def mine(folder: Path) -> ModuleType:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        return importlib.import_module("sentences_of_mine")


@pytest.fixture(scope="module")
def said(folder: Path, mine: ModuleType, env: Environment) -> str:
    """Compare a network that is trained with one that is given; return what the command prints."""
    torch.manual_seed(3)
    torch.save(mine.model().state_dict(), folder / "given.pt")
    study = {
        **TINY,
        "dataset": "sentences_of_mine:sentences",
        "architecture": "sentences_of_mine:model",
        "seeds": [0],
        "weights": {"given": "given.pt"},
        "training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "optimiser": "adamw"},
        "compare": ["seed0-final ~ given-final"],
        "checkpoints": ["final"],
        "layers": "default",
        "images": "all",
        "segment_images": 15,
        "folds": 4,
        "null": {"permutations": 19},
        "exemplars": 4,
        "root": "root",
    }
    path = write_study(folder, study)
    printed = spanmatch("layers", path, env=env, folder=folder)
    return printed + spanmatch("run", path, env=env, folder=folder)


def test_a_masked_language_model_is_compared_without_being_judged_and_the_run_says_so(
    folder: Path, mine: ModuleType, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    values = {
        **yaml.safe_load((folder / "study.yaml").read_text()),
        "architecture": "sentences_of_mine:Masked",
    }
    values |= {"seeds": [], "weights": {"given": "given.pt", "other": "given.pt"}, "compare": None}
    study = validated({name: value for name, value in values.items() if value is not None}, "a test")
    assert any("no perplexity of `weights`: their logits depend" in notice for notice in look(study).notices)
    with pytest.raises(ValueError, match=r"`seeds` must train a network .* depend on no later token"):
        look(study.model_copy(update={"seeds": (0,)}))
    assert not any("no perplexity" in notice for notice in look(read_study(folder / "study.yaml")).notices)


def networks_of(folder: Path, mine: ModuleType) -> dict[str, nn.Module]:
    """Return the network that was given, and the one that was trained."""
    found = {}
    for file in (folder / "root" / "networks").rglob("final.safetensors"):
        with safe_open(file, framework="pt") as opened:
            metadata = json.loads(opened.metadata()["spanmatch"])
        name = "given" if metadata.get("seed") is None else "seed0"
        found[name] = mine.Model().eval()
        found[name].load_state_dict(load_file(file))
    assert found.keys() == {"given", "seed0"}
    return found


def test_the_keys_of_a_study_need_not_speak_of_images() -> None:
    values = {**TINY, "dataset": "python-topics", "architecture": "transformer1", "root": "root"}
    of_images = {"images": 90, "segment_images": 45, "training": {"images": 60}}
    of_samples = {"samples": 90, "segment_samples": 45, "training": {"samples": 60}}
    for name in of_images:
        values.pop(name)
    study = validated({**values, **of_samples}, "a test")
    assert study == validated({**values, **of_images}, "a test")
    assert validated(study.model_dump(), "a test") == study
    twice = "is the same key as `{}`, which is given too; keep one"
    for changes, says in (
        ({"samples": 90}, f"`samples` {twice.format('images')}"),
        ({"training": {"images": 2, "samples": 3}}, f"`training.samples` {twice.format('training.images')}"),
        ({"segment_sample": 2}, "`segment_sample` is not a key of a study; did you mean `segment_samples`?"),
        ({"xyz": 2}, "known keys: .* images, samples, segment_images, segment_samples, activations"),
    ):
        with pytest.raises(ValueError, match=says.replace("?", r"\?")):
            validated({**values, **of_images, **changes}, "a test")


def test_each_token_that_counts_is_one_sample_and_what_padding_gives_is_in_nothing(
    folder: Path, mine: ModuleType, said: str
) -> None:
    held_out = mine.sentences().held_out
    activations = {}
    for name, network in networks_of(folder, mine).items():
        alone = []
        for tokens, mask in zip(held_out.inputs["input_ids"], held_out.mask, strict=True):
            z = network.embed(torch.from_numpy(tokens[mask][None]))
            alone.append(network.act(network.mlp(network.past(z)[0]))[0].detach().double().numpy())
        activations[name] = np.concatenate(alone)
    x, y = (values - values.mean(axis=0) for values in (activations["seed0"], activations["given"]))
    cka = np.square(x.T @ y).sum() / np.sqrt(np.square(x.T @ x).sum() * np.square(y.T @ y).sum())
    with (folder / "root" / "measures.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["measure"] == "linear-cka")
    assert row["samples"] == str(held_out.mask.sum())
    assert 2 * len(held_out) < held_out.mask.sum() < 9 * len(held_out)
    assert float(row["value"]) == pytest.approx(cka, rel=1e-5)
    assert int(row["permutations"]) == 19


def test_networks_are_judged_by_the_tokens_that_follow(folder: Path, mine: ModuleType, said: str) -> None:
    rows = {row["network"]: row for row in json.loads((folder / "root" / "networks.json").read_text())}
    data = mine.sentences()
    for name, network in networks_of(folder, mine).items():
        found = evaluate(network, data.held_out, task=NEXT_TOKEN)
        assert rows[name]["accuracy"] == found.accuracy
        assert rows[name]["loss"] == pytest.approx(found.loss, rel=1e-6)
    assert rows["seed0"]["loss"] < rows["given"]["loss"] - 0.5
    perplexities = {name: f"{math.exp(row['loss']):.3g}" for name, row in rows.items()}
    shown = f"seed 0 {perplexities['seed0']}, given {perplexities['given']}"
    assert f"perplexity on held-out sentences: {shown}" in said


def test_neurons_have_tokens_of_sentences_that_they_are_strongest_at(
    folder: Path, mine: ModuleType, said: str
) -> None:
    """In one file with a dictionary and a mask; what is shown are texts, whose token a position is."""
    stored = open_root(folder / "root")
    held_out = mine.sentences().held_out
    lengths = held_out.mask.sum(axis=1)
    for one in stored.results.exemplars:
        assert one.shape == (9,)
        values = np.nan_to_num(stored.activations(one.checkpoint, one.layer)[:], nan=-np.inf)
        order = np.argsort(-values.max(axis=1), axis=0, kind="stable")[:4].T
        np.testing.assert_array_equal(one.samples, order)
        assert (one.positions < lengths[one.samples]).all(), "padding is never the strongest"
        neurons = np.arange(24)[:, np.newaxis]
        np.testing.assert_array_equal(values[one.samples, one.positions, neurons], one.values)
    shown = stored.results.shown
    assert not shown.pictures
    assert shown.remark == ""
    assert shown.texts, "something matches"
    for number, texts in shown.texts.items():
        tokens = held_out.inputs["input_ids"][number, : lengths[number]]
        assert texts == tuple(f"word {token}" for token in tokens)


def test_nothing_calls_sentences_images(folder: Path, said: str, env: Environment) -> None:
    assert "sentences, 9, 24 neurons" in said
    report = (folder / "root" / "report.html").read_text()
    again = spanmatch("report", folder / "study.yaml", env=env, folder=folder)
    assert (folder / "root" / "report.html").read_text() == report
    for words in (said, again, report):
        near = [words[found.start() - 60 : found.end() + 20] for found in _IMAGES.finditer(words)]
        assert not near
    assert "perplexity" in report
    assert "next-token accuracy" in report
    root = Root.at(str(folder / "root"))
    assert files.read_json(root, files.TERMS)["items"] == "sentences"
