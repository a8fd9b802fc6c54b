"""The embedded study from end to end: what it leaves behind, and what must hold of the science."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from conftest import DIGITS, TINY, Environment, ledger, results, spanmatch, write_study
from in_process import spanmatch_here
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from safetensors import safe_open

from flows.run.plan import Finished, walk
from flows.run.prepared import look
from flows.study.file import read_study
from spanmatch import GramMatrix, Match, is_match, match_profile, simple_matches
from spanmatch.matching.centring import CENTRES, centred_by
from spanmatch.measures import MEASURES
from storage.arrays import GroupReader
from storage.records import Records
from storage.result_files import CRITICAL_EPSILONS_BY_CENTRE, read_critical_epsilons
from storage.root import Root
from tasks.statistic import Reading
from tasks.unit import Done
from tasks.wanted import WHOLE, LayerPair

LAYERS = [
    *(f"block{block}.relu{number}" for block in (1, 2, 3) for number in (1, 2)),
    "classifier.relu1",
    "classifier.relu2",
]
EPSILONS = [0.15, 0.2, 0.25, 0.3, 0.5]
USUAL = [measure for measure in MEASURES.values() if measure.usual]
# of each pair: measures at each ε, and others, each for both centres where it depends on that
AT_EPSILON = sum(1 + measure.depends_on_centre for measure in USUAL if measure.parameter)
OTHERS = sum(1 + measure.depends_on_centre for measure in USUAL if not measure.parameter)
RESAMPLES = 1 + 20 + 10 + 4 + 1  # all images, permutations, without a fold, first folds, held out


@pytest.fixture(scope="module")
def similarity(digits_root: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((digits_root / "similarity.csv").read_text())))


@pytest.fixture(scope="module")
def simple(digits_root: Path) -> list[dict]:
    return [json.loads(line) for line in (digits_root / "simple_matches.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(digits_root: Path) -> Finished:
    """Every unit of the finished study, looked up as a run looks them up."""
    prepared = look(read_study(DIGITS).with_options(root=str(digits_root)))

    def complete(stage, units):
        found = Records(prepared.root).find(stage.name, {unit.key for unit in units.values()})
        return {
            name: Done(unit, found[unit.key].record, stage.artefact(unit.key, found[unit.key]))
            for name, unit in units.items()
        }

    return walk(prepared.wanted, complete)


def test_similarity_has_a_row_for_every_layer_pair_and_epsilon(similarity: list[dict[str, str]]) -> None:
    pairs = {(row["checkpoint_x"], row["checkpoint_y"]) for row in similarity}
    assert pairs == {
        (f"seed{x}-{moment}", f"seed{y}-{moment}")
        for moment in ("initial", "final")
        for x, y in ((0, 1), (0, 2), (1, 2))
    }
    assert list(dict.fromkeys(row["layer"] for row in similarity)) == LAYERS
    assert len(similarity) == 6 * len(LAYERS) * len(EPSILONS) * len(CENTRES)
    assert list(similarity[0]) == [
        "layer", "checkpoint_x", "checkpoint_y", "epsilon", "similarity", "matched_x", "matched_y",
        "neurons_x", "neurons_y", "dead_x", "dead_y", "samples", "offset_x", "offset_y",
        "centre", "uncertain", "low", "high",
    ]  # fmt: skip
    for row in similarity:
        matched, neurons = (int(row[f"{what}_x"]) + int(row[f"{what}_y"]) for what in ("matched", "neurons"))
        assert float(row["similarity"]) == matched / neurons
        assert float(row["low"]) <= float(row["similarity"]) <= float(row["high"])
        width = float(row["high"]) - float(row["low"])
        assert width == pytest.approx(int(row["uncertain"]) / neurons, abs=1e-12)
        assert int(row["samples"]) > max(int(row["neurons_x"]), int(row["neurons_y"]))


def test_every_final_network_classifies_held_out_images(digits_root: Path) -> None:
    networks = json.loads((digits_root / "networks.json").read_text())
    final = {row["network"]: row["accuracy"] for row in networks if row["checkpoint"] == "final"}
    assert set(final) == {"seed0", "seed1", "seed2"}
    assert min(final.values()) >= 0.95
    for path in (digits_root / "networks").glob("*/final.safetensors"):
        with safe_open(path, framework="numpy") as checkpoint:
            kept = json.loads(checkpoint.metadata()["spanmatch"])
        assert kept["accuracy"] == final[f"seed{kept['seed']}"]


def test_a_run_from_scratch_computes_everything(digits_root: Path) -> None:
    assert ledger(digits_root) == {
        "networks": {"computed": 3, "reused": 0},
        "segments": {"computed": 18, "reused": 0},
        "comoments": {"computed": 288, "reused": 0},
        "permuted": {"computed": 48 * 20, "reused": 0},
        "profiles": {"computed": 48 * 2 * RESAMPLES, "reused": 0},
        "matches": {"computed": 240 * 2, "reused": 0},
        "measures": {"computed": 48 * (5 * AT_EPSILON + OTHERS), "reused": 0},
        "exemplars": {"computed": 8 * 6, "reused": 0},
    }


def test_the_report_shows_every_layer_and_needs_nothing_from_outside(digits_root: Path) -> None:
    page = (digits_root / "report.html").read_text()
    assert all(layer in page for layer in LAYERS)
    fetched = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(https?:[^\"') >]*)", page)
    assert all("arxiv.org" in address for address in fetched)


def test_the_report_can_be_written_again(
    digits_root: Path, copy_of: Callable[[Path], Path], env: Environment
) -> None:
    root = copy_of(digits_root)
    page = root / "report.html"
    before = page.read_text()
    page.unlink()
    assert str(page) in spanmatch("report", DIGITS, "--root", root, env=env)
    assert page.read_text() == before


def test_status_tells_what_is_done_and_what_a_run_would_compute(digits_root: Path, env: Environment) -> None:
    printed = spanmatch("status", DIGITS, "--root", digits_root, "--epsilon", 0.4, env=env)
    rows = dict(re.findall(r"│ (\w+) +│ +(\d+ │ +\d+) │", printed))
    assert {stage: [int(n) for n in row.split("│")] for stage, row in rows.items()} == {
        "networks": [3, 0],
        "segments": [18, 0],
        "comoments": [288, 0],
        "permuted": [48 * 20, 0],
        "profiles": [48 * 2 * RESAMPLES, 0],
        "matches": [240 * 2, 48 * 2],
        "measures": [48 * (5 * AT_EPSILON + OTHERS), 48 * AT_EPSILON],
        "exemplars": [48, 0],
    }


def test_status_of_nothing_is_all_to_compute_and_writes_nothing(tmp_path: Path, env: Environment) -> None:
    printed = spanmatch_here("status", DIGITS, "--root", tmp_path / "root", env=env)
    assert re.search(r"matches +│ +0 │ +480", printed)  # of both centres
    assert not (tmp_path / "root").exists()


def test_similarity_never_falls_as_epsilon_grows(similarity: list[dict[str, str]]) -> None:
    curves = defaultdict(list)
    for row in similarity:
        curves[row["layer"], row["checkpoint_x"], row["checkpoint_y"], row["centre"]].append(
            (float(row["epsilon"]), float(row["similarity"]))
        )
    for curve in curves.values():
        assert [epsilon for epsilon, _ in curve] == EPSILONS
        assert curve == sorted(curve, key=lambda point: (point[1], point[0]))


def test_the_rows_are_those_of_the_critical_epsilons(
    digits_root: Path, similarity: list[dict[str, str]]
) -> None:
    of_centre = {
        centre: read_critical_epsilons(Root.at(digits_root), file, LAYERS)
        for centre, file in CRITICAL_EPSILONS_BY_CENTRE.items()
    }
    assert tuple(of_centre) == CENTRES
    for row in similarity:
        pairs, arrays = of_centre[row["centre"]]
        place = pairs.index(f"{row['checkpoint_x']}~{row['checkpoint_y']}")
        of_layer = arrays[row["layer"]]
        assert of_layer.keys() == {"x", "y", "x_error", "y_error", "x_held_out", "y_held_out"}
        for side in "xy":
            critical = of_layer[side][place]
            assert len(of_layer[f"{side}_error"][place]) == len(of_layer[f"{side}_held_out"][place])
            assert len(critical) == int(row[f"neurons_{side}"])
            assert np.count_nonzero(critical <= float(row["epsilon"])) == int(row[f"matched_{side}"])
            assert np.count_nonzero(np.isinf(critical)) == int(row[f"dead_{side}"])


def grams(digits_root: Path, finished: Finished) -> Iterator[tuple[LayerPair, GramMatrix]]:
    reading = Reading(Root.at(digits_root))
    for (pair, centre, resample), done in finished["profiles"].items():
        if (centre, resample) == ("raw", WHOLE):
            yield pair, reading.whole(done.unit.statistic).gram


@pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")  # of untrained layers
def test_every_simple_match_is_a_match_and_together_they_are_the_maximum_match(
    digits_root: Path, finished: Finished, simple: list[dict]
) -> None:
    found: dict[tuple[str, str, str, str], list[dict]] = defaultdict(list)
    for row in simple:
        found[row["layer"], row["checkpoint_x"], row["checkpoint_y"], row["centre"]].append(row)
    checked = 0
    for (pair, raw), centre in product(grams(digits_root, finished), CENTRES):
        name = pair.layer_x, pair.compared.x.label, pair.compared.y.label, centre
        gram = centred_by(raw, centre)
        profile = match_profile(gram)
        for epsilon in EPSILONS:
            union = Match([], [])
            for row in found[name]:
                if row["epsilon"] == epsilon:
                    match = Match(row["x"], row["y"])
                    assert is_match(gram, match, epsilon=epsilon)
                    assert tuple(row["neuron"]) in match
                    union |= match
                    checked += 1
            assert union == profile.maximum_match(epsilon)
    assert checked == len(simple) > 0


@pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")  # of untrained layers
def test_a_network_matches_itself_fully_neuron_by_neuron(digits_root: Path, finished: Finished) -> None:
    for _, gram in grams(digits_root, finished):
        own = np.block([[gram.xx, gram.xx], [gram.xx, gram.xx]])
        itself = GramMatrix.from_parts(own, np.tile(gram.sums[: gram.n_x], 2), gram.n_samples, gram.n_x)
        live = gram.n_x - len(gram.dead_x)
        matched = match_profile(itself).maximum_match(0.0)
        assert len(matched.x) == len(matched.y) == live
        assert match_profile(itself).similarity(0.15) == live / gram.n_x


def test_gram_matrices_are_those_of_the_stored_activations(digits_root: Path, finished: Finished) -> None:
    root = Root.at(digits_root)
    for pair, gram in list(grams(digits_root, finished))[::11]:
        sides = []
        for checkpoint in pair.compared:
            parts = [
                GroupReader(root, segment.artefact).read(pair.layer_x)
                for name, segment in finished["segments"].items()
                if (name.layer, name.checkpoint) == (pair.layer_x, checkpoint)
            ]
            activations = np.concatenate(parts).astype(np.float64)
            sides.append(activations.reshape(-1, activations.shape[-1]))
        joint = np.hstack(sides)
        assert gram.n_samples == len(joint)
        np.testing.assert_allclose(gram.matrix, joint.T @ joint, rtol=1e-12, atol=1e-9)


def test_two_runs_from_scratch_are_identical(
    tiny_root: Path, tmp_path: Path, outside: list[str], env: Environment
) -> None:
    spanmatch_here("run", write_study(tmp_path, TINY), "--root", tmp_path / "root", *outside, env=env)
    assert results(tmp_path / "root") == results(tiny_root)
    assert (tmp_path / "root" / "report.html").read_text() == (tiny_root / "report.html").read_text()
    assert {path.name for path in (tmp_path / "root").iterdir()} == {
        path.name for path in tiny_root.iterdir()
    }


def test_the_prefect_ui_has_a_table_and_a_report_with_its_figure(digits_root: Path, env: Environment) -> None:
    def artefacts(key: str) -> dict[UUID | None, str]:
        """By the flow run that made each."""
        chosen = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        return {
            artefact.flow_run_id: str(artefact.data)
            for artefact in client.read_artifacts(artifact_filter=chosen)
        }

    # other tests run the study too, at a further ε and perhaps now: what has completed has both
    with SyncPrefectClient(env["PREFECT_API_URL"]) as client:
        tables = artefacts("digits-similarity")
        of_tables = FlowRunFilter(id=FlowRunFilterId(any_=list(tables)))
        completed = [
            run.id
            for run in client.read_flow_runs(flow_run_filter=of_tables)
            if run.state is not None and run.state.is_completed()
        ]
        reports, trainings = artefacts("digits-report"), artefacts("digits-networks")
    # a row for each moment, centre, layer and ε
    assert 2 * len(CENTRES) * len(LAYERS) * len(EPSILONS) in {
        len(json.loads(tables[run])) for run in completed
    }
    assert all("data:image/png;base64," in reports[run] for run in completed)
    assert {float(progress) for progress in trainings.values()} == {100.0}


def test_simple_matches_are_reproduced_from_the_gram_matrix(
    digits_root: Path, finished: Finished, simple: list[dict]
) -> None:
    pair, gram = next(grams(digits_root, finished))
    stored = [
        (row["x"], row["y"])
        for row in simple
        if (row["layer"], row["checkpoint_x"], row["epsilon"]) == (pair.layer_x, pair.compared.x.label, 0.5)
        and (row["checkpoint_y"], row["centre"]) == (pair.compared.y.label, "raw")
    ]
    assert stored == [(s.match.x.tolist(), s.match.y.tolist()) for s in simple_matches(gram, epsilon=0.5)]
