"""Exemplars of a study: those of a search through its activations, however these are had; how they look."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NOTHING
from pipeline import carried_out, in_this_process, quick
from test_strongest import searched

import spanmatch
from flows.run import exemplified
from flows.run.exemplified import strongest_of_matched
from flows.run.foresee import Foreseen, foresee
from flows.run.prepared import look, prepare
from flows.run.read_back import read_results
from flows.study.kept import keep
from flows.study.model import validated
from spanmatch import networks
from spanmatch.errors import InputValueError, SpanmatchError
from spanmatch.matching.strongest import Strongest
from spanmatch.reporting import Exemplars, Shown, StudyResults
from storage.result_files import EXEMPLARS
from storage.root import Root
from tasks.cluster import Cluster
from tasks.exemplar_files import read_exemplar_file, write_exemplars
from tasks.exemplars import StoredExemplars
from tasks.matches import MatchName
from tasks.publishing import write_results
from tasks.stages import STAGES
from tasks.wanted import Checkpoint, Comparison, LayerPair, Side

LAYERS = ["block3.relu2", "classifier.relu1"]
MAPS = {"block3.relu2": (2, 2), "classifier.relu1": ()}
COUNT = 5


@dataclass
class Run:
    """A study that was carried out in this process, and what it came to."""

    folder: Path
    cluster: Cluster
    results: StudyResults
    foreseen: dict[str, Foreseen]
    written: dict[str, int]

    def again(self, **changes: Any) -> tuple[StudyResults, dict[str, int]]:
        """Carry out a changed study under the same root; return its results, and what was computed."""
        results, computed = carried_out(quick(self.folder, **{"exemplars": COUNT, **changes}), self.cluster)
        return results, {**NOTHING, **computed}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("exemplars")
    study = quick(folder, exemplars=COUNT)
    foreseen = foresee(look(study))
    with in_this_process() as cluster:
        results, computed = carried_out(study, cluster)
        assert computed["exemplars"] == 4, "two layers of two networks"
        assert computed["comoments"] == 12, "what a pass leaves of a layer counts as one"
        prepared = prepare(study)
        write_results(results, prepared.root)
        keep(prepared.root, study, prepared.resolved)
        written = {
            name: sum(
                file.stat().st_size
                for place in (f"root/{name}", f"root/cache/{name}")
                for file in (folder / place).iterdir()
            )
            for name in ("comoments", "exemplars")
        }
        yield Run(folder, cluster, results, foreseen, written)


def assert_same(found: tuple[Exemplars, ...], expected: tuple[Exemplars, ...]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.layer, one.checkpoint, one.shape) == (other.layer, other.checkpoint, other.shape)
        for name in ("samples", "values", "positions"):
            ours, theirs = getattr(one, name), getattr(other, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_they_are_those_of_a_search_through_stored_activations(run: Run) -> None:
    stored = spanmatch.open_root(run.folder / "root")
    assert [one.layer for one in run.results.exemplars] == LAYERS * 2
    for one in run.results.exemplars:
        samples, values, positions = searched(stored.activations(one.checkpoint, one.layer)[:], COUNT)
        assert one.samples.tolist() == samples
        assert one.values.tolist() == values
        assert one.positions.tolist() == positions
        assert one.shape == MAPS[one.layer]
        assert (one.samples.dtype, one.values.dtype, one.positions.dtype) == ("i8", "f4", "i8")
        assert_same((stored.exemplars(one.checkpoint, one.layer),), (one,))
    with pytest.raises(SpanmatchError, match=r"did you mean 'block3.relu2'\?"):
        stored.exemplars("seed0-final", "block3.relu")


def test_their_bytes_are_foreseen(run: Run) -> None:
    wanted = look(quick(run.folder, exemplars=COUNT)).wanted
    for name, units in (("comoments", 12 + 8), ("exemplars", 4)):
        stage, groups = STAGES[name], run.foreseen[name].lacking.values()
        assert sum(map(len, groups)) == units
        written = sum(stage.cost(wanted, group, {}).written for group in groups)
        assert written == pytest.approx(run.written[name], rel=0.05)


def test_streamed_activations_have_the_same(run: Run) -> None:
    results, computed = run.again(activations="stream")
    assert computed == {**NOTHING, "comoments": 12}, "to the bit, so that nothing stands on it anew"
    assert_same(results.exemplars, run.results.exemplars)


@pytest.mark.parametrize("activations", ["keep", "stream"])
def test_segments_of_another_size_have_the_same(run: Run, activations: str) -> None:
    results, _ = run.again(segment_images=25, activations=activations)
    assert_same(results.exemplars, run.results.exemplars)


def test_further_images_compute_what_they_touch(run: Run) -> None:
    results, computed = run.again(images=90)
    assert (computed["segments"], computed["comoments"], computed["exemplars"]) == (2, 6, 4)
    whole, _ = run.again(images=90, segment_images=90)
    assert_same(results.exemplars, whole.exemplars)


def test_more_of_them_are_found_in_another_pass_and_nothing_else_is_touched(run: Run) -> None:
    results, computed = run.again(exemplars=70)
    assert computed == {**NOTHING, "comoments": 8, "exemplars": 4}
    for one, fewer in zip(results.exemplars, run.results.exemplars, strict=True):
        np.testing.assert_array_equal(one.samples[:, :COUNT], fewer.samples)
        assert (one.samples[:, 60:] == -1).all(), "of 60 images"
        assert np.isnan(one.values[:, 60:]).all()
        assert not np.isnan(one.values[:, :60]).any()
    without, computed = run.again(exemplars=0)
    assert computed == NOTHING
    assert without.exemplars == ()
    assert without.shown == Shown({}, {})


def test_positions_that_were_drawn_are_those_of_the_map(run: Run) -> None:
    stored = spanmatch.open_root(run.folder / "root")
    results, _ = run.again(positions=2, layers=LAYERS[:1])
    for one in results.exemplars:
        assert one.shape == (2, 2)
        values = stored.activations(one.checkpoint, one.layer)[:]
        neurons = np.arange(len(one.samples))[:, np.newaxis]
        np.testing.assert_allclose(values[one.samples, one.positions, neurons], one.values, rtol=1e-6)
        assert set(np.unique(one.positions)) == {0, 1, 2, 3}
    mean, _ = run.again(positions="mean", layers=LAYERS[:1])
    assert {(one.shape, int(one.positions.max())) for one in mean.exemplars} == {((), 0)}


def test_what_matched_neurons_see_is_shown_as_it_was_scanned(run: Run) -> None:
    pictures, scans = run.results.shown.pictures, networks.load_dataset("digits").held_out.stored / 16
    assert pictures, "something matches"
    for number, picture in pictures.items():
        assert picture.shape == (8, 8, 3)
        np.testing.assert_allclose(
            picture, np.broadcast_to(scans[number, 0, :, :, None] * 255, (8, 8, 3)), atol=0.5
        )
    by_side = {(one.layer, one.checkpoint): one.samples for one in run.results.exemplars}
    seen = set()
    for match in run.results.simple_matches:
        seen |= set(by_side[match.layer, match.checkpoint_x][list(match.x)].flat)
        seen |= set(by_side[match.layer, match.checkpoint_y][list(match.y)].flat)
    assert set(pictures) == seen
    assert not run.results.shown.remark


def test_results_are_read_back_and_damage_is_named(run: Run) -> None:
    root = Root.at(run.folder / "root")
    found = read_results(root, run.results.study)
    assert_same(found.exemplars, run.results.exemplars)
    assert (found.shown.remark, found.shown.digest) == ("", run.results.shown.digest)
    for number, picture in run.results.shown.pictures.items():
        np.testing.assert_array_equal(found.shown.pictures[number], picture)
    file = next(path for path in (run.folder / "root" / EXEMPLARS).rglob("values/c/*/*/*") if path.is_file())
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(SpanmatchError, match=r"exemplars.zarr' cannot be read .* run the study"):
        read_results(root, run.results.study)
    file.write_bytes(whole)


def test_pictures_that_are_there_stay_when_the_images_are_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = quick(run.folder, exemplars=COUNT)
    prepared = prepare(study)
    kept = run.results.shown.pictures
    root = prepared.root
    few = dict(list(kept.items())[: len(kept) // 2])
    write_exemplars(replace(run.results, shown=replace(run.results.shown, pictures=few)), root)

    def gone(*_: object) -> None:
        raise networks.DatasetNotFoundError("`dataset` must be there")

    monkeypatch.setattr(exemplified, "load_planned", gone)
    results, _ = run.again()
    assert results.shown.pictures.keys() == few.keys()
    lacking = len(kept) - len(few)
    assert results.shown.remark == (
        f"{lacking} images that matched neurons are strongest at are not shown: `dataset` must be there"
    )
    write_results(run.results, root)


def test_samples_come_in_the_order_of_their_ranks_and_those_of_matched_neurons_alone() -> None:
    x, y = Checkpoint("seed0", "final"), Checkpoint("seed1", "final")

    def stored(*samples: list[int]) -> StoredExemplars:
        numbers = np.array(samples)
        return StoredExemplars(Strongest(numbers, np.ones(numbers.shape), np.zeros_like(numbers)), ())

    exemplars = {Side("a", x): stored([5, 1], [7, 5], [9, -1]), Side("b", y): stored([1, 8], [2, 3])}
    name = MatchName(LayerPair("a", "b", Comparison(x, y)), "raw", 0.3)
    document: Any = {"simple_matches": [{"x": [0], "y": [0]}, {"x": [2], "y": [0]}]}
    assert strongest_of_matched(exemplars, {name: document}) == [5, 9, 1, 8]
    assert strongest_of_matched(exemplars, {}) == []


def test_of_many_samples_the_strongest_of_each_neuron_are_shown_first(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exemplified, "MOST", 4)
    results, _ = run.again()
    first = {one.samples[neuron, 0] for one in run.results.exemplars for neuron in range(len(one.samples))}
    assert len(results.shown.pictures) == 4
    assert set(results.shown.pictures) <= first
    assert results.shown.remark.endswith("4 are shown, those that come first")


@pytest.mark.parametrize("wrong", [-1, 101, 2.5, True, "nine", None])
def test_a_number_of_them_that_cannot_be_is_refused(wrong: object, tmp_path: Path) -> None:
    values = quick(tmp_path).model_dump() | {"exemplars": wrong}
    says = rf"^`exemplars` must be a whole number from 0, for none, to 100, got {wrong!r}; 9 are usual\n"
    with pytest.raises(InputValueError, match=says):
        validated(values, "a test")


def test_an_object_store_keeps_the_same(run: Run, url: str) -> None:
    root = Root.at(url)
    assert read_exemplar_file(root) == ((), Shown({}, {}))
    write_exemplars(run.results, root)
    exemplars, shown = read_exemplar_file(root)
    assert_same(exemplars, run.results.exemplars)
    assert shown.pictures.keys() == run.results.shown.pictures.keys()
    write_exemplars(replace(run.results, exemplars=()), root)
    assert read_exemplar_file(root) == ((), Shown({}, {}))
