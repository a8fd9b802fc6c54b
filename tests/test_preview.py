"""What a run would take, told before it: beside what then was written, and refused where it cannot fit."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import DIGITS, TINY, Environment, computed
from hypothesis import given
from hypothesis import strategies as st
from in_process import spanmatch_here
from pipeline import write
from torch import nn

from flows.command import review
from flows.command.status import status
from flows.run import preview as previewing
from flows.run import rates as kept_rates
from flows.run import room
from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.run.preview import Preview, makespan, preview, with_paces
from flows.run.rates import Rates, keep_rates, read_rates, this_machine
from flows.study.model import Study
from spanmatch import networks
from spanmatch.networks import timing
from spanmatch.networks.recipe import Recipe
from storage.folder import Folder
from storage.root import Root
from tasks.cluster import Workers
from tasks.meter import Meter, Took
from tasks.stage import Pace
from tasks.stages import STAGES


def foreseen_of(study: Study, workers: int = 2) -> Preview:
    """What a run of a study would take, its networks timed."""
    prepared = look(study)
    stages = foresee(prepared)
    return preview(prepared, stages, with_paces(stages, read_rates(prepared.root)), workers)


def bytes_below(root: Path, *names: str) -> int:
    """Bytes of the files under some folders of a root."""
    return sum(path.stat().st_size for name in names for path in (root / name).rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The tiny study under a root that is not there."""
    values = yaml.safe_load(DIGITS.read_text(encoding="utf-8")) | TINY
    return Study.model_validate(values | {"root": str(tmp_path_factory.mktemp("preview") / "root")})


@pytest.fixture(scope="module")
def ahead(tiny: Study) -> Preview:
    """What it takes, told before anything is there."""
    return foreseen_of(tiny)


def test_every_unit_is_counted_before_any_is_computed(tiny: Study, tiny_root: Path) -> None:
    told = status(look(tiny)).stages
    assert {stage.stage: stage.total for stage in told} == computed(tiny_root)
    assert not any(stage.done for stage in told)
    assert not Path(tiny.root).exists(), "whoever asks changes nothing"


def test_bytes_are_those_that_are_written(ahead: Preview, tiny_root: Path) -> None:
    written = {stage.stage: stage.written for stage in ahead.stages}
    there = {name: bytes_below(tiny_root, name, f"cache/{name}") for name in written}
    assert written.keys() == STAGES.keys() - {"permuted", "exemplars"}, "it asks for neither"
    for name in ("networks", "segments", "comoments"):
        assert written[name] == pytest.approx(there[name], rel=0.05), name
    for name in ("profiles", "matches", "measures"):  # some as text, of which the length is a guess
        assert written[name] == pytest.approx(there[name], rel=0.4), name
    assert sum(written.values()) == pytest.approx(sum(there.values()), rel=0.05)


def test_streamed_sums_are_foreseen_as_well_and_no_activations(tiny: Study) -> None:
    asked = {"null": tiny.null.model_copy(update={"permutations": 20}), "exemplars": 9}
    kept, streamed = (
        {stage.stage: stage for stage in foreseen_of(tiny.model_copy(update=asked | changes)).stages}
        for changes in ({}, {"activations": "stream"})
    )
    assert kept.keys() == STAGES.keys()
    assert streamed.keys() == kept.keys() - {"segments"}
    for name in ("comoments", "permuted"):
        assert streamed[name].written == pytest.approx(kept[name].written, rel=0.01)
        assert (kept[name].read > 0, streamed[name].read) == (True, 0)
        assert streamed[name].seconds > kept[name].seconds, "networks pass"


def test_a_further_epsilon_takes_what_it_adds_by_rates_of_the_run(tiny: Study, tiny_root: Path) -> None:
    grown = tiny.model_copy(update={"root": str(tiny_root), "epsilons": [*TINY["epsilons"], 0.4]})
    told = foreseen_of(grown)
    assert [stage.stage for stage in told.stages] == ["matches", "measures"]
    assert told.measured
    rates = read_rates(Root.at(tiny_root))
    assert rates.around is not None
    assert told.around > rates.around, "the command takes more"
    assert rates.factors.keys() == STAGES.keys() - {"permuted", "exemplars"}
    assert all(took.seconds > 0 for of_stage in rates.factors.values() for took in of_stage.values())
    assert rates.peak > 10**8
    assert told.seconds > told.around


def test_nothing_is_foreseen_of_a_study_that_is_done(tiny: Study, tiny_root: Path) -> None:
    told = foreseen_of(tiny.model_copy(update={"root": str(tiny_root)}))
    assert told.stages == ()
    assert told.memory == 0


def test_status_shows_it_and_remembers_how_fast_networks_are(
    tiny: Study, tiny_root: Path, tmp_path: Path, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tiny, tmp_path / "tiny.yaml")
    printed = spanmatch_here("status", path, env=env)
    assert "a run would take" in printed
    assert "networks as timed just now" in printed
    printed = spanmatch_here("status", path, "--root", tiny_root, env=env)
    assert "a run would take" not in printed
    root = Root.prepare(tmp_path / "root")
    spanmatch_here("status", path, "--root", tmp_path / "root", env=env)
    paces = read_rates(root).paces
    assert len(paces) == 2, "of training, and of passing"

    def timed_again(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(networks, "epoch_cost", timed_again)
    monkeypatch.setattr(networks, "pass_cost", timed_again)
    spanmatch_here("status", path, "--root", tmp_path / "root", env=env)
    assert read_rates(root).paces == paces


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk with little room."""
    monkeypatch.setattr(Folder, "free", lambda _: 10**6)


def test_what_does_not_fit_on_the_disk_is_refused_before_it_starts(
    tiny: Study, tmp_path: Path, env: Environment, crowded: None
) -> None:
    path, root = write(tiny, tmp_path / "tiny.yaml"), tmp_path / "root"
    refused = spanmatch_here("status", path, "--root", root, env=env, expect=2)
    assert "a run would take" in refused
    assert "`root` must have room for" in refused
    assert "`activations: stream`" in refused
    with pytest.raises(room.NoRoomError, match="are free at"):
        room.require_room(look(tiny))


def test_what_does_not_fit_into_a_worker_is_refused(
    tiny: Study, ahead: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = look(tiny)
    room.require_fits(prepared, ahead, Workers(2, 2 * ahead.memory))
    with pytest.raises(room.NoRoomError, match="a worker must have memory for the stage"):
        room.require_fits(prepared, ahead, Workers(2, ahead.memory))
    monkeypatch.setattr(room, "workers_of", lambda _: Workers(2, 10**8))
    with pytest.raises(room.NoRoomError, match="whose workers have more"):
        room.require_room(prepared)


def test_what_obviously_fits_costs_a_run_no_plan(tiny: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "foresee", None)
    monkeypatch.setattr(room, "workers_of", lambda _: Workers(2, 2**40))
    room.require_room(look(tiny))


def test_wide_layers_take_the_memory_of_their_gram_matrix(tiny: Study) -> None:
    prepared = look(tiny)
    wide = {
        name: tuple(replace(layer, neurons=8192) for layer in layers)
        for name, layers in prepared.wanted.layers.items()
    }
    prepared.__dict__["wanted"] = replace(prepared.wanted, layers=wide)
    stages = foresee(prepared)
    told = preview(prepared, stages, with_paces(stages, Rates()), 2)
    by_stage = {stage.stage: stage.memory for stage in told.stages}
    assert by_stage["profiles"] > 4 * 8 * 16384**2
    with pytest.raises(room.NoRoomError, match="leave the widest layers out"):
        room.require_fits(prepared, told, Workers(2, 2**33))


def test_rates_hold_for_the_machine_that_they_were_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Root.prepare(tmp_path)
    meter = Meter()
    meter.took["matches", ""] = Took(6.0, 2.0)
    keep_rates(root, Rates(paces={"network": Pace(0.5, 100)}).after(meter, around=7.0))
    here = read_rates(root)
    assert here.factor("matches", "") == 3
    assert (here.factor("profiles", ""), here.factor("matches", "other")) == (None, None)
    assert here.after(meter, 8.0).factors["matches"][""] == Took(12.0, 4.0)
    monkeypatch.setattr(kept_rates, "this_machine", lambda: "another")
    assert read_rates(root) == Rates()
    keep_rates(root, Rates(around=1.0))
    monkeypatch.undo()
    assert read_rates(root) == here
    assert json.loads((tmp_path / "rates.json").read_text()).keys() == {"another", this_machine()}


@pytest.mark.parametrize("content", ["", "{", '{"m": 3}', "[]"])
def test_rates_that_cannot_be_read_are_measured_anew(tmp_path: Path, content: str) -> None:
    root = Root.prepare(tmp_path)
    (tmp_path / "rates.json").write_text(content)
    assert read_rates(root) == Rates()
    keep_rates(root, Rates(around=1.0))
    assert read_rates(root) == Rates(around=1.0)


@given(st.lists(st.floats(0, 10), max_size=20), st.integers(1, 5))
def test_jobs_end_between_the_bounds_of_list_scheduling(seconds: list[float], workers: int) -> None:
    ends = makespan(seconds, workers)
    longest, share = max(seconds, default=0), sum(seconds) / workers
    assert max(longest, share) - 1e-9 <= ends <= share + longest + 1e-9


def test_a_network_is_timed_by_what_training_and_passing_do() -> None:
    dataset = networks.load_dataset("digits")
    recipe = Recipe(epochs=3, batch_size=64, learning_rate=0.1, momentum=0.9, weight_decay=0.0)
    passing = networks.pass_cost("vgg9-digits", 1, dataset)
    trained = networks.epoch_cost("vgg9-digits", 1, dataset, recipe)
    fewer = networks.epoch_cost("vgg9-digits", 1, dataset, replace(recipe, images=128))
    judged = networks.epoch_cost("vgg9-digits", 1, dataset, None)
    network = networks.build("vgg9-digits", dataset.held_out.shape, dataset.classes)
    weights = sum(values.nbytes for values in networks.weights_of(network).values())
    assert {one.weights for one in (passing, trained, fewer, judged)} == {weights}
    assert 0 < passing.seconds < judged.seconds < trained.seconds
    assert fewer.seconds < trained.seconds


class Endless(nn.Module):
    """Gives minus infinity at positions that are none of the mask's."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(torch.relu(self.line(x)) * 0).repeat_interleave(2, dim=1)


def test_a_network_is_timed_whatever_its_last_layer_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = np.ones((3, 5, 6), np.float32)
    samples = networks.Samples(
        inputs=inputs, labels=np.zeros(3, np.int64), ids=tuple("abc"), mask=np.ones((3, 5), bool)
    )
    monkeypatch.setattr(timing, "build", lambda *_: Endless())
    cost = networks.pass_cost("endless", 1, networks.Dataset("made", None, samples, 2))
    assert cost.seconds > 0
    assert cost.weights == 4 * (6 * 4 + 4)


def test_an_hour_is_shown_as_such() -> None:
    shown = review.show_preview.__globals__["_duration"]
    assert [shown(seconds) for seconds in (3.2, 89, 120, 5400, 36000)] == [
        "3 s",
        "89 s",
        "2 min",
        "1.5 h",
        "10.0 h",
    ]
    assert previewing.makespan([], 2) == 0
