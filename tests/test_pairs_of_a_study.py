"""A small study with every two layers, of two seeds and of another architecture, carried out once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from pipeline import carried_out, in_this_process, quick, write

import spanmatch
from flows.run import plan
from flows.run.prepared import prepare
from flows.run.read_back import read_results
from flows.study.model import Study
from spanmatch import GramMatrix, match_profile, networks
from spanmatch.reporting import MeasureRow, StudyResults, report_page
from storage.arrays import GroupReader
from storage.checkpoints import read_checkpoint
from storage.records import Records
from storage.root import Root
from tasks.publishing import write_results
from tasks.unit import Done

VGG, RESNET = ("block3.relu2", "classifier.relu1"), ("stem.relu", "stage3.block3.relu2")
BOTH = "block3.relu2 ~ classifier.relu1"
MAPS = [["block1.relu1", "block1.relu2"], ["block2.relu1", "block2.relu2"]]
EPSILON, PERMUTATIONS, CENTRES = 0.3, 19, ("raw",)
FEW: dict[str, Any] = {"null": {"permutations": 4, "level": 0.2}}


class Ran(NamedTuple):
    """What a run gave, and how much of each stage it computed."""

    study: Study
    results: StudyResults
    computed: Counter[str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    folder = tmp_path_factory.mktemp("pairs")
    itself = {"seeds": [0], "compare": ["seed0-final ~ seed0-final"]}
    res = quick(folder, name="res", architecture="resnet20", width=0.25, layers=list(RESNET), **itself)
    wide = quick(folder, name="wide", width=0.5, **itself)
    across = {
        each.name: {
            "others": {each.name: str(write(each, folder / f"{each.name}.yaml"))},
            "compare": ["networks", "others"],
            "pairs": "grid",
        }
        for each in (res, wide)
    }
    asked: dict[str, Any] = {
        "width": 0.25,
        "positions": "mean",
        "folds": 2,
        "null": {"permutations": PERMUTATIONS},
        "measures": ["linear-cka", "mean-critical-epsilon"],
    }
    studies = {
        "same": quick(folder, **asked),
        "grid": quick(folder, **asked, **across["res"]),
        "list": quick(folder, **asked, pairs=[[VGG[0], "classifier.*"]]),
        "streamed": quick(folder, **asked | across["wide"] | FEW, activations="stream"),
        "maps": quick(
            folder, **asked | {"positions": "all", "folds": 0, "layers": ["block?.relu?"]}, pairs=MAPS
        ),
    }
    with in_this_process() as cluster:
        yield {name: Ran(study, *carried_out(study, cluster)) for name, study in studies.items()}


def activations(ran: Ran) -> dict[tuple[str, str], np.ndarray]:
    """The stored activations of each layer of each checkpoint, (images, neurons)."""
    prepared = prepare(ran.study)
    found: dict[tuple[str, str], list[np.ndarray]] = {}

    def complete(stage, units):
        kept = Records(prepared.root).find(stage.name, {unit.key for unit in units.values()})
        done = {}
        for name, unit in units.items():
            artefact = stage.artefact(unit.key, kept[unit.key])
            done[name] = Done(unit, kept[unit.key].record, artefact)
            if stage.name == "segments":
                values = GroupReader(prepared.root, artefact).read(name.layer).astype(float)
                samples = values.reshape(-1, values.shape[-1])
                found.setdefault((name.layer, name.checkpoint.label), []).append(samples)
        return done

    plan.walk(prepared.wanted, complete)
    return {side: np.concatenate(parts) for side, parts in found.items()}


def values(rows: Sequence[MeasureRow], measure: str, parameter: float | None, centre: str):
    """The value of a measure by both sides."""
    return {
        ((row.layer_x, row.checkpoint_x), (row.layer_y, row.checkpoint_y)): row.value
        for row in rows
        if (row.measure, row.parameter, row.centre) == (measure, parameter, centre)
    }


def of_all_images(row: MeasureRow) -> MeasureRow:
    """A row without what depends on permutations, or on what else is compared."""
    unknown = dict.fromkeys(("null_mean", "threshold", "p", "p_family", "calibrated", "level"))
    return replace(row, permutations=0, **unknown)


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.sum((x.T @ y) ** 2) / np.sqrt(np.sum((x.T @ x) ** 2) * np.sum((y.T @ y) ** 2))


def test_a_grid_computes_own_parts_once_and_reuses_those_of_same_names(ran: dict[str, Ran]) -> None:
    same, grid, named = (ran[name].computed for name in ("same", "grid", "list"))
    segments = 2
    assert same["comoments"] == segments * (2 * len(VGG) + len(VGG))
    assert grid["networks"] == 1
    assert grid["segments"] == segments  # passes of the further network
    further = {"networks": 2, "others": 2 * len(VGG) * len(RESNET)}
    assert grid["comoments"] == segments * (len(RESNET) + sum(further.values()))
    assert grid["permuted"] == PERMUTATIONS * sum(further.values())
    # of all images and permuted: no errors of a grid's further pairs, and no matches
    assert grid["profiles"] == len(CENTRES) * (1 + PERMUTATIONS) * sum(further.values())
    assert grid["matches"] == 0
    # what a list names is looked into: what the grid has is there, folds and matches are not
    assert (named["comoments"], named["permuted"], named["matches"]) == (0, 0, len(CENTRES))
    assert named["profiles"] == len(CENTRES) * (2 + 1 + 1)


@pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")
def test_every_two_layers_have_the_values_of_the_stored_activations(ran: dict[str, Ran]) -> None:
    stored, rows = activations(ran["grid"]), ran["grid"].results.measures
    of_cka = values(rows, "linear-cka", None, "mean")
    assert len(of_cka) == 4 + 2 * 4
    for (x, y), value in of_cka.items():
        assert value == pytest.approx(cka(stored[x], stored[y]), rel=1e-8)
    of_match = values(rows, "maximum-match", EPSILON, "raw")
    assert of_match.keys() == of_cka.keys()
    for (x, y), value in of_match.items():
        low, high = match_profile(GramMatrix.from_activations(stored[x], stored[y])).similarity_interval(
            EPSILON
        )
        assert low - 1e-9 <= value <= high + 1e-9


@pytest.mark.filterwarnings("ignore")
def test_they_are_those_that_compare_finds(ran: dict[str, Ran]) -> None:
    prepared = prepare(ran["grid"].study)
    dataset = networks.load_source(ran["grid"].study.source())
    images = dataset.held_out.slice(0, 60)
    models = {}

    def complete(stage, units):
        kept = Records(prepared.root).find(stage.name, {unit.key for unit in units.values()})
        for name, unit in units.items() if stage.name == "networks" else ():
            model = networks.build(unit.architecture, images.shape, dataset.classes, unit.width)
            artefact = replace(
                stage.artefact(unit.key, kept[unit.key]),
                digest=kept[unit.key].record["checkpoints"]["final"]["digest"],
            )
            networks.fit_weights(model, read_checkpoint(prepared.root, artefact, "final"))
            models[f"{name}-final"] = model
        return {
            name: Done(unit, kept[unit.key].record, stage.artefact(unit.key, kept[unit.key]))
            for name, unit in units.items()
        }

    plan.walk(prepared.wanted, complete)
    wanted = {name: list(RESNET if name.startswith("res") else VGG) for name in models}
    pixels = torch.from_numpy(images.pixels)
    result = spanmatch.compare(models, [pixels], layers=wanted, positions="mean", pairs="grid")
    rows = ran["grid"].results.measures
    for (x, y), value in values(rows, "linear-cka", None, "mean").items():
        found = result.matrix("cka", networks=(x[1], y[1]))[x[0], y[0]]
        assert found == pytest.approx(value, abs=1e-5)
    for (x, y), value in values(rows, "mean-critical-epsilon", None, "raw").items():
        found = result.matrix("mean-critical-epsilon", networks=(x[1], y[1]))[x[0], y[0]]
        assert found == pytest.approx(value, abs=1e-3)


def test_pairs_of_a_grid_have_nulls_and_no_errors_and_networks_of_other_layers_no_curves(
    ran: dict[str, Ran],
) -> None:
    grid = ran["grid"].results
    assert all(row.p is not None and row.error is None and row.folds == 0 for row in grid.measures)
    assert (grid.layers, grid.similarity, grid.critical_epsilons, grid.growth) == ((), (), (), ())
    assert len(grid.comparisons) == 3


def test_a_pair_that_a_list_names_has_all_that_a_layer_has(ran: dict[str, Ran]) -> None:
    named = ran["list"].results
    assert named.layers == (BOTH,)
    assert {row.layer for row in (*named.similarity, *named.critical_epsilons, *named.essential)} == {BOTH}
    assert {(row.layer_x, row.layer_y) for row in named.measures} == {VGG}
    assert all(row.error is not None for row in named.measures if row.measure == "linear-cka")
    assert {row.layers for row in named.growth} == {BOTH}
    of_grid = values(ran["grid"].results.measures, "linear-cka", None, "mean")
    for pair, value in values(named.measures, "linear-cka", None, "mean").items():
        assert value == of_grid[pair]


def test_a_grid_that_is_streamed_is_that_of_stored_activations_and_looks_into_common_names(
    ran: dict[str, Ran],
) -> None:
    streamed = ran["streamed"]
    assert (streamed.computed["segments"], streamed.results.layers) == (0, VGG)
    rows, of_grid, of_same = (
        {of_all_images(row) for row in ran[name].results.measures if "/" not in row.checkpoint_y}
        for name in ("streamed", "grid", "same")
    )
    # looked into, layers of one name have folds, too
    assert rows == {row for row in of_grid if row.layer_x != row.layer_y} | of_same
    # what is of the wide network alone: profiles are known by the content of what they stand on
    assert streamed.computed["profiles"] == 2 * (len(VGG) ** 2 * (1 + 4) + len(VGG) * (2 + 1 + 1))
    assert streamed.computed["matches"] == 2 * len(VGG)
    widths = [(row.layer, len(row.x), len(row.y)) for row in streamed.results.critical_epsilons]
    assert widths == [(layer, 16, neurons) for neurons in (16, 32, 32) for layer in VGG]


def test_layers_of_two_maps_are_compared_position_by_position(ran: dict[str, Ran]) -> None:
    stored, results = activations(ran["maps"]), ran["maps"].results
    assert {len(samples) for samples in stored.values()} == {60 * 64, 60 * 16}
    of_cka = values(results.measures, "linear-cka", None, "mean")
    assert [(x[0], y[0]) for x, y in of_cka] == [tuple(pair) for pair in MAPS]
    for (x, y), value in of_cka.items():
        assert value == pytest.approx(cka(stored[x], stored[y]), rel=1e-8)
    assert all(row.p is not None for row in results.measures)


@pytest.mark.parametrize("name", ["same", "grid", "list", "streamed", "maps"])
def test_results_are_read_back_as_they_were(ran: dict[str, Ran], name: str, tmp_path: Path) -> None:
    root = Root.prepare(tmp_path / "root")
    written = ran[name].results
    write_results(written, root)
    found = read_results(root, written.study)
    assert (found.layers, found.comparisons, found.measures) == (
        written.layers,
        written.comparisons,
        written.measures,
    )
    for row, of_written in zip(found.critical_epsilons, written.critical_epsilons, strict=True):
        np.testing.assert_array_equal(row.x, of_written.x)
        np.testing.assert_array_equal(row.y, of_written.y)
    page = report_page(found)
    assert ("Similarity along the layers" in page) == (name != "grid")
    assert ("Similarity of every layer with every layer" in page) == (name in ("grid", "streamed"))
