"""Which checkpoints a study compares: pure, so without training anything."""

import re
from itertools import combinations
from pathlib import Path

import pytest
import torch
import yaml

from flows.run.plan import wanted
from flows.study.comparisons import comparisons
from flows.study.file import read_study
from flows.study.model import Study
from flows.study.resolve import resolve
from spanmatch.networks.architectures import build
from spanmatch.networks.catalogue import check_architecture, require_dataset
from storage.digests import file_digest
from tasks import networks
from tasks.wanted import Checkpoint

STUDIES = sorted((Path(__file__).parent.parent / "studies").glob("*.yaml"))


def a_study(**changes):
    values = {
        "name": "a",
        "dataset": "digits",
        "architecture": "vgg9-digits",
        "seeds": [0, 1, 2],
        "training": {"epochs": 8},
        "images": 10,
        "epsilons": [0.3],
        "root": "r",
    }
    return Study.model_validate({**values, **changes})


def labels(study, others=None):
    return [(one.x.label, one.y.label, one.group) for one in comparisons(study, others or {})]


def test_networks_compares_every_two_seeds_at_each_checkpoint():
    expected = [
        (f"seed{a}-{moment}", f"seed{b}-{moment}", moment)
        for moment in ("initial", "final")
        for a, b in combinations(range(3), 2)
    ]
    assert labels(a_study()) == expected


def test_checkpoints_compares_a_network_with_itself_at_every_two():
    study = a_study(seeds=[4], compare="checkpoints", checkpoints=["initial", "epoch3", "final"])
    assert labels(study) == [
        ("seed4-initial", "seed4-epoch3", "initial ~ epoch3"),
        ("seed4-initial", "seed4-final", "initial ~ final"),
        ("seed4-epoch3", "seed4-final", "epoch3 ~ final"),
    ]


def test_named_pairs_may_name_any_checkpoint_and_a_network_with_itself():
    study = a_study(compare=["seed0-best ~ seed2-epoch5", "seed1-final~seed1-final"])
    assert labels(study) == [
        ("seed0-best", "seed2-epoch5", "best ~ epoch5"),
        ("seed1-final", "seed1-final", "itself"),
    ]


def test_weights_that_are_given_are_a_final_checkpoint():
    study = a_study(seeds=[0], weights={"alice-v2": "a.safetensors"})
    assert labels(study) == [("seed0-final", "alice-v2-final", "final")]


def test_others_compares_with_the_networks_of_other_studies():
    study = a_study(seeds=[0], compare="others", others={"wide": "w.yaml"}, checkpoints=["final"])
    assert labels(study, {"wide": a_study(seeds=[7, 8])}) == [
        ("seed0-final", "wide/seed7-final", "final"),
        ("seed0-final", "wide/seed8-final", "final"),
    ]


def test_others_compares_with_networks_that_other_studies_are_given():
    study = a_study(seeds=[0], compare="others", others={"wide": "w.yaml"})
    others = {"wide": a_study(seeds=[5], weights={"alice": "alice.pt"})}
    assert labels(study, others) == [
        ("seed0-initial", "wide/seed5-initial", "initial"),
        ("seed0-final", "wide/seed5-final", "final"),
        ("seed0-final", "wide/alice-final", "final"),
    ]


def test_a_pair_that_is_named_again_the_other_way_round_is_compared_once():
    study = a_study(seeds=[0, 1], compare=["networks", "seed1-final ~ seed0-final"], checkpoints=["final"])
    assert labels(study) == [("seed0-final", "seed1-final", "final")]


def test_weights_of_another_study_are_looked_up_and_planned(tmp_path):
    network = build("vgg9-digits", (1, 8, 8), 10)
    torch.save(network.state_dict(), tmp_path / "alice.pt")
    weights = {"alice": str(tmp_path / "alice.pt")}
    other = a_study(seeds=[], weights=weights, checkpoints=["final"], compare=["alice-final ~ alice-final"])
    (tmp_path / "w.yaml").write_text(yaml.safe_dump(other.model_dump(mode="json")))
    study = a_study(seeds=[0], compare="others", others={"w": str(tmp_path / "w.yaml")})
    unit = networks.plan(wanted(study, resolve(study)), {})["w/alice"]
    assert unit.weights == weights["alice"]
    assert unit.weights_digest == file_digest(tmp_path / "alice.pt")


def test_what_is_named_twice_is_compared_once():
    study = a_study(seeds=[0, 1], checkpoints=["final"], compare=["networks", "seed0-final ~ seed1-final"])
    assert len(labels(study)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compare": ["seed0-final ~ seed9-final"]}, "seed0-final of seed0, seed1, seed2; got 'seed9-final'"),
        ({"compare": ["seed0-final ~ seed1-epoch9"]}, "epoch1 to epoch8"),
        ({"compare": ["seed0-last ~ seed1-final"]}, "got 'last'"),
        ({"seeds": [0], "weights": {"b": "b.pt"}, "checkpoints": ["initial"]}, "something to compare"),
        (
            {"seeds": [0, 1], "weights": {"seed1": "b.pt"}},
            "`weights` must have names that no seed of `seeds`",
        ),
        (
            {"seeds": [0], "weights": {"b": "b.pt"}, "compare": "seed0-final ~ b-initial"},
            "must name b-final",
        ),
    ],
)
def test_pairs_that_there_are_not_are_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        comparisons(a_study(**changes), {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [1]}, "`seeds` must hold at least two seeds to compare"),
        ({"seeds": [], "compare": "checkpoints"}, "`seeds` must hold a seed, or `weights` a network"),
        ({"compare": "seeds"}, "must hold networks, checkpoints, others, or pairs"),
        (
            {"compare": "checkpoints", "checkpoints": ["final"]},
            "at least two to compare a network with itself",
        ),
        ({"compare": "others"}, "`others` must name studies exactly when"),
        ({"others": {"b": "b.yaml"}}, "`others` must name studies exactly when"),
        ({"checkpoints": ["epoch9"]}, "epoch1 to epoch8 (the training's last), got 'epoch9'"),
        ({"training": {"epochs": 4, "milestones": [2]}}, "`milestones` must be left out"),
        ({"positions": 0}, "must be all, mean or a number of positions from 1, got 0"),
        ({"positions": "some"}, "must be all, mean or a number of positions from 1, got 'some'"),
    ],
)
def test_studies_that_contradict_themselves_are_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        a_study(**changes)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_that_is_given_is_sound(path):
    study = read_study(path)
    assert study.name == path.stem
    assert study.root == f"runs/{study.name}"
    require_dataset(study.dataset)
    check_architecture(study.architecture)
    assert comparisons(study, {})


def test_every_large_study_has_siblings():
    names = {path.stem for path in STUDIES}
    large = {name for name in names if name.startswith("cifar10-")}
    assert large
    assert {name.replace("cifar10", "fashion-mnist") for name in large} <= names


def test_labels_are_read_back():
    for checkpoint in (
        Checkpoint("seed0", "final"),
        Checkpoint("b/seed3", "epoch5"),
        Checkpoint("a-b", "best"),
    ):
        assert Checkpoint.of_label(checkpoint.label) == checkpoint
