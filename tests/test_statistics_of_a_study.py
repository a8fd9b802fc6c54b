"""Nulls, errors, held-out values and growth of a study: what is computed once, and that it is right."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pipeline import carried_out, in_this_process, quick

from flows.run.plan import Finished, walk
from flows.run.prepared import look
from flows.run.read_back import read_results
from flows.study.file import read_study
from flows.study.kept import keep
from flows.study.model import Study
from spanmatch import GramMatrix, simple_matches
from spanmatch.matching.centring import centred_by
from spanmatch.matching.quick_profile import quick_profile
from spanmatch.measures import Evidence, evaluate, measure_named, registry
from spanmatch.reporting import MeasureRow, StudyResults
from spanmatch.statistics import jackknife_error
from spanmatch.statistics.holding_out import held_out_profile
from spanmatch.statistics.shifted import drawn_shifts, partners
from storage.arrays import GroupReader
from storage.packs import Packs
from storage.records import Records
from storage.root import Root
from tasks import permuting
from tasks.cluster import Cluster
from tasks.measures import MeasureName
from tasks.profiles import ProfileName, no_warnings, read_profile
from tasks.publishing import write_report, write_results
from tasks.stage import Stage
from tasks.unit import Done
from tasks.wanted import Resample
from tasks.work import Job

LAYER = "block3.relu2"
PERMUTATIONS, FOLDS, CENTRES = 4, 3, ("raw", "mean")
# all images, permutations, without a fold, the first one and two folds, held out
RESAMPLES = 1 + PERMUTATIONS + FOLDS + 2 + 1
WITH_STATISTICS: dict[str, Any] = {
    "layers": [LAYER],
    "centre": list(CENTRES),
    "folds": FOLDS,
    "null": {"permutations": PERMUTATIONS, "level": 0.2},
    "measures": ["linear-cka"],
}
ALL = {
    "networks": 2,
    "segments": 4,
    "comoments": 6,
    "permuted": PERMUTATIONS,
    "profiles": 2 * RESAMPLES,
    "matches": 2,
    "measures": 3,
    "exemplars": 0,
}


def study_of(folder: Path, **changes: Any) -> Study:
    return quick(folder, **{**WITH_STATISTICS, **changes})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with in_this_process() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster
) -> tuple[Path, StudyResults, Counter[str]]:
    """The study, from scratch. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("made")
    return (folder, *carried_out(study_of(folder), cluster))


@pytest.fixture
def again(
    made: tuple[Path, StudyResults, Counter[str]], tmp_path: Path, cluster: Cluster
) -> Callable[..., tuple[StudyResults, Counter[str]]]:
    """Carry the study out with changes, on a copy of its root; return what was computed beside nothing."""

    def carry(**changes: Any) -> tuple[StudyResults, Counter[str]]:
        shutil.copytree(made[0] / "root", tmp_path / "root")
        results, computed = carried_out(study_of(tmp_path, **changes), cluster)
        return results, +computed

    return carry


NUMBERS = ("value", "null_mean", "threshold", "p", "p_family", "calibrated", "error", "held_out")


def test_everything_is_computed_once(made, again) -> None:
    _, results, computed = made
    assert computed == ALL
    same, nothing = again()
    assert not nothing
    assert (same.measures, same.growth) == (results.measures, results.growth)
    row: MeasureRow
    for row in results.measures:
        assert (row.permutations, row.folds, row.level) == (PERMUTATIONS, FOLDS, 0.2)
        assert None not in [getattr(row, name) for name in NUMBERS], row


def test_a_further_epsilon_reduces_permutes_and_profiles_nothing(
    made, tmp_path: Path, cluster: Cluster
) -> None:
    root = Path(shutil.copytree(made[0] / "root", tmp_path / "root"))
    for stage in ("networks", "segments"):  # whoever reads weights or activations notices
        shutil.rmtree(root / stage)
    results, computed = carried_out(study_of(tmp_path, epsilons=[0.3, 0.4]), cluster)
    assert +computed == {"matches": 2, "measures": 2}, "raw and less means"
    assert all(row.p is not None for row in results.measures)


def test_further_permutations_add_to_those_that_are_there(made, again) -> None:
    results, computed = again(null={"permutations": 7, "level": 0.2})
    assert computed == {"permuted": 3, "profiles": 3 * 2, "measures": 3}
    for before, after in zip(made[1].measures, results.measures, strict=True):
        assert (before.value, before.error, before.held_out) == (after.value, after.error, after.held_out)
        assert after.permutations == 7


def test_a_further_measure_recomputes_nothing_else(made, again) -> None:
    results, computed = again(measures=["linear-cka", "rv"])
    assert computed == {"measures": 1}
    assert [row for row in results.measures if row.measure != "rv"] == list(made[1].measures)


def test_another_level_changes_rows_alone(made, again) -> None:
    results, computed = again(null={"permutations": PERMUTATIONS, "level": 0.5})
    assert not computed
    for before, after in zip(made[1].measures, results.measures, strict=True):
        assert (after.level, after.p) == (0.5, before.p)
        assert after.threshold <= before.threshold


def test_other_folds_keep_networks_activations_and_permutations(again) -> None:
    _, computed = again(folds=4)
    resamples = RESAMPLES + 1
    assert computed == {"comoments": 6, "profiles": 2 * resamples, "matches": 2, "measures": 3}


def test_further_images_add_segments_and_parts_of_their_own(made, tmp_path: Path, cluster: Cluster) -> None:
    shutil.copytree(made[0] / "root", tmp_path / "root")
    starts = set()

    def before(_: Root, stage: Stage, cut: list[Job]) -> None:
        if stage.name == "comoments":
            starts.update(unit.start for job in cut for unit in job.units)

    results, computed = carried_out(study_of(tmp_path, images=90), cluster, before)
    assert starts == {60}, "earlier images are not read again"
    assert +computed == Counter({**ALL, "networks": 0, "segments": 2, "comoments": 3}) + Counter()
    assert [row.images for row in results.growth[:3]] == [30, 60, 90]


def equal(one: StudyResults, other: StudyResults) -> None:
    """See that p are the same, and all other numbers to 1e-9."""
    for row, same in zip(one.measures, other.measures, strict=True):
        assert (row.p, row.p_family) == (same.p, same.p_family)
        for name in NUMBERS:
            assert getattr(row, name) == pytest.approx(getattr(same, name), rel=0, abs=1e-9), (row, name)
    for first, second in zip(one.growth, other.growth, strict=True):
        assert replace(first, value=None) == replace(second, value=None)
        assert first.value == pytest.approx(second.value, rel=0, abs=1e-9)


def test_two_workers_and_an_object_store_give_the_same_bits(made, tmp_path: Path, url: str) -> None:
    with in_this_process(workers=2) as two:
        results, computed = carried_out(study_of(tmp_path, root=url), two)
    assert computed == ALL
    assert (results.measures, results.growth) == (made[1].measures, made[1].growth)


def test_other_segments_give_the_same_numbers(made, tmp_path: Path, cluster: Cluster) -> None:
    results, computed = carried_out(study_of(tmp_path, segment_images=17), cluster)
    assert computed["permuted"] == PERMUTATIONS, "of images, not of segments"
    equal(results, made[1])


def test_another_seed_permutes_and_computes_what_stands_on_that(made, again) -> None:
    results, computed = again(null={"permutations": PERMUTATIONS, "level": 0.2, "seed": 1})
    # matches have beside them those of the first permutation
    assert computed == {"permuted": PERMUTATIONS, "profiles": PERMUTATIONS * 2, "matches": 2, "measures": 3}
    for before, after in zip(made[1].measures, results.measures, strict=True):
        assert (before.value, before.error, before.held_out) == (after.value, after.error, after.held_out)
        if before.measure == "linear-cka":  # shares of neurons may be alike
            assert before.null_mean != after.null_mean


def test_permutations_are_computed_alike_in_parts(
    made, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks apart in tiles, and positions in parts: of each only one fits into memory."""
    kept = Path(shutil.copytree(made[0] / "root", tmp_path / "root"))
    shutil.rmtree(kept / "cache" / "permuted")
    shutil.rmtree(kept / "permuted")
    monkeypatch.setattr(permuting, "HELD_BYTES", 1)
    monkeypatch.setattr(permuting, "_SPECTRA_BYTES", 1)
    results, computed = carried_out(study_of(tmp_path), cluster)
    assert computed["permuted"] == PERMUTATIONS
    equal(results, made[1])
    for number in range(PERMUTATIONS):
        whole, parts = (permuted(study_of(folder), number) for folder in (made[0], tmp_path))
        for name, values in whole.items():
            unit = float(np.abs(values).max(initial=1.0))
            np.testing.assert_allclose(parts[name] / unit, values / unit, rtol=0, atol=1e-12, err_msg=name)


def finished(study: Study) -> Finished:
    """Every unit of a study that is done, looked up as a run looks them up."""
    prepared = look(study)

    def complete(stage: Stage, units: Any) -> dict[Any, Done]:
        found = Records(prepared.root).find(stage.name, {unit.key for unit in units.values()})
        return {
            name: Done(unit, found[unit.key].record, stage.artefact(unit.key, found[unit.key]))
            for name, unit in units.items()
        }

    return walk(prepared.wanted, complete)


def permuted(study: Study, number: int) -> dict[str, NDArray[Any]]:
    """What is stored of a permutation but the count of its roundings."""
    ((_, done),) = [
        (name, done) for name, done in finished(study)["permuted"].items() if name.number == number
    ]
    content = Packs(Root.at(study.root)).read(done.artefact)
    return {name: values for name, values in content.items() if name != "counts"}


class Oracle:
    """All numbers of a pair of layers from its stored activations, image by image."""

    def __init__(self, study: Study) -> None:
        self.done = finished(study)
        self.packs = Packs(Root.at(study.root))
        (pair,) = {name.pair for name in self.done["profiles"]}
        self.pair = pair
        sides, self.ids = [], []
        for checkpoint in pair.compared:
            readers = [
                GroupReader(self.packs._root, segment.artefact)
                for name, segment in self.done["segments"].items()
                if name.checkpoint == checkpoint
            ]
            sides.append(np.concatenate([reader.read(LAYER) for reader in readers]).astype(np.float64))
            self.ids = [one for reader in readers for one in reader.attributes["image_ids"]]
        self.x, self.y = sides

    def gram(self, images: Any = slice(None), partners: Any = None) -> GramMatrix:
        x, y = self.x[images], (self.y if partners is None else self.y[partners])[images]
        return GramMatrix.from_activations(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]))

    def resampled(self) -> dict[Resample, GramMatrix]:
        """The Gram matrix of each resample but those held out."""
        drawn = drawn_shifts(self.ids, range(PERMUTATIONS), seed=0)
        fold = np.arange(len(self.x)) % FOLDS
        return {
            Resample("whole"): self.gram(),
            **{Resample("null", b): self.gram(partners=partners(drawn, b)) for b in range(PERMUTATIONS)},
            **{Resample("without", f): self.gram(fold != f) for f in range(FOLDS)},
            **{Resample("first", count): self.gram(fold < count) for count in (1, 2)},
        }

    def record(self, measure: str, centre: str, parameter: float | None) -> dict[str, Any]:
        return self.done["measures"][MeasureName(self.pair, centre, measure, parameter)].record


@pytest.fixture(scope="module")
def oracle(made: tuple[Path, StudyResults, Counter[str]]) -> Oracle:
    return Oracle(study_of(made[0]))


def test_profiles_are_those_of_the_resampled_activations(oracle: Oracle) -> None:
    for resample, gram in oracle.resampled().items():
        for centre in CENTRES:
            artefact = oracle.done["profiles"][ProfileName(oracle.pair, centre, resample)].artefact
            found = read_profile(oracle.packs, artefact)
            for side, expected in zip("xy", quick_profile(centred_by(gram, centre)), strict=True):
                np.testing.assert_allclose(
                    getattr(found, side), expected, rtol=0, atol=1e-6, err_msg=f"{resample} {centre}"
                )


def test_held_out_profiles_are_those_of_the_folds(oracle: Oracle) -> None:
    folds = [oracle.gram(slice(fold, None, FOLDS)) for fold in range(FOLDS)]
    for centre in CENTRES:
        name = ProfileName(oracle.pair, centre, Resample("held-out"))
        found = read_profile(oracle.packs, oracle.done["profiles"][name].artefact)
        expected = held_out_profile(folds, centre=centre)
        np.testing.assert_allclose(found.x, expected.x, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.y, expected.y, rtol=0, atol=1e-6)


def test_values_are_those_of_the_resampled_activations(made, oracle: Oracle) -> None:
    cka = measure_named("linear-cka")
    found = {resample: evaluate(cka, Evidence(gram=gram)) for resample, gram in oracle.resampled().items()}
    record = oracle.record("linear-cka", "mean", None)
    of_kind = {
        kind: [value for resample, value in found.items() if resample.kind == kind]
        for kind in ("whole", "null", "without", "first")
    }
    assert [record["value"]] == pytest.approx(of_kind["whole"], rel=0, abs=1e-9)
    for kind in ("null", "without", "first"):
        assert record[kind] == pytest.approx(of_kind[kind], rel=0, abs=1e-9), kind
    assert cka.held_out is not None
    fold = np.arange(len(oracle.x)) % FOLDS
    held_out = [
        cka.held_out(Evidence(gram=oracle.gram(fold != f)), Evidence(gram=oracle.gram(fold == f)), None)
        for f in range(FOLDS)
    ]
    assert record["held_out"] == pytest.approx(np.mean(held_out), rel=0, abs=1e-9)
    (row,) = [row for row in made[1].measures if row.measure == "linear-cka"]
    null = of_kind["null"]
    assert row.p == (1 + sum(value >= row.value for value in null)) / (1 + PERMUTATIONS)
    assert row.null_mean == pytest.approx(np.mean(null), abs=1e-9)
    assert row.error == pytest.approx(jackknife_error(of_kind["without"]), abs=1e-9)
    assert [one.value for one in made[1].growth if one.measure == "linear-cka"] == pytest.approx(
        [*of_kind["first"], row.value], abs=1e-9
    )


def test_the_maximum_match_is_that_of_the_profiles(oracle: Oracle) -> None:
    for centre in CENTRES:
        record = oracle.record("maximum-match", centre, 0.3)

        def similarity(resample: Resample, centre: str = centre) -> float:
            name = ProfileName(oracle.pair, centre, resample)
            return read_profile(oracle.packs, oracle.done["profiles"][name].artefact).similarity(0.3)

        assert record["value"] == similarity(Resample("whole"))
        assert record["null"] == [similarity(Resample("null", b)) for b in range(PERMUTATIONS)]
        assert record["without"] == [similarity(Resample("without", f)) for f in range(FOLDS)]
        assert record["first"] == [similarity(Resample("first", count)) for count in (1, 2)]
        assert record["held_out"] == similarity(Resample("held-out"))


def test_simple_matches_by_chance_are_those_of_the_first_permutation(again, oracle: Oracle) -> None:
    results, computed = again(epsilons=[0.3, 0.95])
    assert computed == {"matches": 2, "measures": 2}
    permuted, found = oracle.resampled()[Resample("null", 0)], {}
    for row in results.covers:
        gram = centred_by(permuted, row.centre)
        with no_warnings():
            matches = [simple.match for simple in simple_matches(gram, epsilon=row.epsilon)]
        found[row.centre, row.epsilon] = row.permuted
        assert row.permuted == tuple(sorted(match.x.size + match.y.size for match in matches))
    assert len(found) == 4
    assert found["mean", 0.3] == ()
    assert found["raw", 0.95]


def test_a_network_compared_with_itself_is_permuted_too(again) -> None:
    results, _ = again(compare=["seed0-final ~ seed0-final"])
    (row,) = [row for row in results.measures if row.measure == "linear-cka"]
    assert row.value == pytest.approx(1)
    assert row.threshold < 0.99, "images are never paired with themselves"
    assert row.p == 1 / (1 + PERMUTATIONS)


def test_the_report_is_written_again_to_the_byte(made, tmp_path: Path) -> None:
    study = study_of(tmp_path)
    root = Root.prepare(study.root)
    write_results(made[1], root)
    write_report(made[1], root)
    keep(root, study, look(study_of(made[0])).resolved)
    page = root.read("report.html")
    found = read_results(root, study.name)
    for name in ("similarity", "simple_matches", "measures", "growth", "covers", "essential"):
        assert getattr(found, name) == getattr(made[1], name), name
    root.place.remove("report.html")
    write_report(found, root)
    assert root.read("report.html") == page


def test_the_key_null_needs_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = (
        "name: a\ndataset: digits\narchitecture: vgg9-digits\nseeds: [0, 1]\nimages: 60\n"
        "epsilons: [0.3]\nroot: root\n"
    )
    path.write_text(f"{text}null: {{permutations: 7, level: 0.2}}\n", encoding="utf-8")
    assert read_study(path).null.permutations == 7
    path.write_text(f"{text}null:\n  permutations: 0\n", encoding="utf-8")
    assert read_study(path).null.permutations == 0


def test_a_measure_may_need_inner_products_and_the_profile(again, monkeypatch: pytest.MonkeyPatch) -> None:
    def both(evidence: Evidence, _: float | None) -> float:
        assert evidence.profile is not None
        return float(evidence.profile.x.mean()) * evaluate(measure_named("debiased-cka"), evidence)

    of_both = replace(
        measure_named("mean-critical-epsilon"),
        name="both",
        needs=frozenset({"comoments", "profile", "row-norms"}),
        function=both,
        bounds=(-1.0, 1.0),
    )
    monkeypatch.setattr(registry, "MEASURES", registry.register([*registry.MEASURES.values(), of_both]))
    results, computed = again(measures=["both", "debiased-cka", "mean-critical-epsilon"])
    assert computed == {"measures": 2 + 1 + 2}
    rows = {(row.measure, row.centre): row for row in results.measures}
    cka = rows["debiased-cka", "mean"]
    for centre in CENTRES:
        row = rows["both", centre]
        profile = next(each for each in results.critical_epsilons if each.centre == centre)
        assert row.value == pytest.approx(profile.x.mean() * cka.value)
        assert None not in (row.p, row.error)


def test_few_images_have_no_null_and_it_is_said(tmp_path: Path, cluster: Cluster) -> None:
    values = study_of(tmp_path).model_dump() | {"null": {}, "folds": None, "images": 12, "segment_images": 6}
    study = Study.model_validate(values)
    prepared = look(study)
    assert (prepared.wanted.folds, prepared.wanted.permutations) == (10, 0)
    assert prepared.notices == (
        "no null: 12 images are too few to be permuted often enough for p ≤ 0.05; use more",
    )
    results, _ = carried_out(study, cluster)
    assert {(row.p, row.folds) for row in results.measures} == {(None, 10)}
    assert look(study.model_copy(update={"images": 21})).wanted.permutations == 20
