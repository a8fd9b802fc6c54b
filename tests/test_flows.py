"""The flows as a group runs them, deployed on a real server: reuse, growth, refusals, and their pages."""

import csv
import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import DIGITS, NOTHING, TINY, Environment, computed, ledger, measured, results, write_study
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.deployed import extend, reanalyse, run_study
from flows.study.allowed import MODULES, SCHEDULERS
from flows.study.growth import grown as grown_by
from flows.study.kept import read_kept
from flows.study.model import Study
from storage.root import FORMAT, Root
from tasks.links import REPORTS


class Deployments:
    """The three flows, each deployed; their runs are carried out here, as a worker's process does it."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.client = client
        self._ids = {flow.name: flow.to_deployment("test").apply() for flow in (run_study, reanalyse, extend)}

    def create(self, flow: Flow, **parameters: Any) -> FlowRun:
        return self.client.create_flow_run_from_deployment(self._ids[flow.name], parameters=parameters)

    def run(self, flow: Flow, **parameters: Any) -> FlowRun:
        run = self.create(flow, **parameters)
        run_flow(flow, flow_run=run, return_type="state")
        return self.client.read_flow_run(run.id)

    def succeed(self, flow: Flow, **parameters: Any) -> FlowRun:
        run = self.run(flow, **parameters)
        assert run.state_name == "Completed", run.state
        return run

    def refused(self, flow: Flow, says: str, key: str = "tiny-report", **parameters: Any) -> str:
        """Assert that a run is refused before any work, with the same reason in its state and on its page."""
        run = self.run(flow, **parameters)
        assert run.state_name == "Failed"
        assert says in run.state.message, run.state.message
        (page,) = self.artefacts(run)
        assert (page.key, page.type) == (key, "markdown")
        assert says in page.data.replace("\\", "")
        assert "Nothing was computed and nothing is lost" in page.data
        return page.data

    def artefacts(self, run: FlowRun) -> list[Artifact]:
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        return [one for one in self.client.read_artifacts(artifact_filter=chosen) if one.key is not None]

    def task_runs(self, run: FlowRun, expected: int) -> dict[str, str]:
        """Return the state of each task run by its name, once the server has recorded them."""
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            found = self.client.read_task_runs(flow_run_filter=chosen)
            if len(found) >= expected and all(task.state and task.state.is_final() for task in found):
                break
            time.sleep(0.2)
        return {task.name: task.state_name for task in found}


@pytest.fixture(scope="module")
def deployments(env: Environment) -> Iterator[Deployments]:
    settings = {PREFECT_API_URL: env["PREFECT_API_URL"], PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(settings), SyncPrefectClient(env["PREFECT_API_URL"]) as client:
        yield Deployments(client)


def similarity(root: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((root / "similarity.csv").read_text())))


def tiny(root: Path, **changes: Any) -> dict[str, Any]:
    return yaml.safe_load(DIGITS.read_text(encoding="utf-8")) | TINY | {"root": str(root)} | changes


@pytest.fixture(scope="module")
def grown(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory, deployments: Deployments) -> Path:
    """A copy of the tiny study's root after a reanalysis and an extension, each of which is tested here."""
    root = Path(shutil.copytree(tiny_root, tmp_path_factory.mktemp("grown") / "root"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(REPORTS, f"{root.parent}=https://reports.example/ours")
        run = deployments.succeed(reanalyse, study=str(root), epsilons=[0.4])
    assert run.name == "root · ε 0.4"
    assert "tiny" in run.tags
    assert computed(root) == {**NOTHING, "matches": 4, "measures": measured(4, 3) - measured(4, 2)}
    tasks = deployments.task_runs(run, expected=9)
    there = {
        "networks": 2,
        "segments": 8,
        "comoments": 24,
        "profiles": 4,
        "matches": 8,
        "measures": measured(4, 2),
    }
    cached = {f"{stage} · {count} reused" for stage, count in there.items()}
    assert {name for name, state in tasks.items() if state == "Cached"} == cached
    first = "block3.relu2 · seed 0 ~ seed 1 · initial · ε 0.4"
    last = "classifier.relu1 · seed 0 ~ seed 1 · final · ε 0.4"
    others = {name for name, state in tasks.items() if state == "Completed"}
    assert others > {f"match {first} … {last} (4)", "report tiny"}
    assert len([name for name in others if name.startswith("measure ")]) == len(others) - 2 == 1
    artefacts = {artefact.key: artefact for artefact in deployments.artefacts(run)}
    assert artefacts.keys() >= {"tiny-report", "tiny-similarity"}  # and progress, where the machine is slow
    table = json.loads(artefacts["tiny-similarity"].data)
    shown = {(row["layer"], row["group"], row["epsilon"]): row["mean_similarity"] for row in table}
    kept = {
        (row["layer"], row["checkpoint_x"].removeprefix("seed0-"), float(row["epsilon"])): row["similarity"]
        for row in similarity(root)
    }
    assert len(kept) == 12
    assert shown == {place: pytest.approx(float(value), abs=1e-4) for place, value in kept.items()}
    assert "](https://reports.example/ours/root/report.html)" in artefacts["tiny-explorer"].data
    page = artefacts["tiny-report"].data
    assert "data:image/png;base64," in page
    assert f"spanmatch view {root}, typed where" in page.replace("\\", "")
    assert "added: ε 0.4" in page
    assert "ε: 0.3, 0.4, 0.5" in page

    deployments.succeed(extend, study=str(root), more_seeds=1, layers=["classifier.relu2"])
    assert ledger(root)["networks"] == {"computed": 1, "reused": 2}
    # three networks, and the third layer of all: 3 layers × 2 moments × 3 pairs, of which 4 were there; an
    # own part of each network and a cross part of each pair, of two segments
    assert ledger(root)["profiles"] == {"computed": 14, "reused": 4}
    assert ledger(root)["comoments"] == {"computed": 48, "reused": 24}
    return root


def test_what_was_added_stays_in_the_scheduled_study_and_out_of_another(
    grown: Path, deployments: Deployments
) -> None:
    deployments.succeed(run_study, study=tiny(grown))
    assert computed(grown) == NOTHING
    kept = read_kept(Root.at(grown))
    assert kept is not None
    assert kept.study.seeds == [0, 1, 2]
    assert kept.study.epsilons == [0.3, 0.4, 0.5]
    assert kept.study.layers == [*TINY["layers"], "classifier.relu2"]
    before = results(grown)
    deployments.succeed(run_study, study=tiny(grown, name="other"))
    assert ledger(grown)["profiles"] == {"computed": 0, "reused": 4}
    assert results(grown) != before


def test_a_study_grows_by_what_it_lacks_alone(tmp_path: Path) -> None:
    study = Study.model_validate(tiny(tmp_path))
    assert grown_by(study) == study
    assert grown_by(study, seeds=[1, 0], layers=["classifier.relu1"], epsilons=[0.5], images=90) == study
    more = grown_by(study, seeds=[7], more_seeds=2, images=91, checkpoints=["final", "epoch1"], epsilons=[0])
    assert more.seeds == [0, 1, 7, 8, 9]
    assert more.images == 91
    assert more.checkpoints == ["initial", "final", "epoch1"]
    assert more.epsilons == [0, 0.3, 0.5]


def test_a_root_is_read_where_it_lies(tiny_root: Path, tmp_path: Path, deployments: Deployments) -> None:
    root = Path(shutil.copytree(tiny_root, tmp_path / "moved"))
    deployments.succeed(extend, study=str(root))
    assert computed(root) == NOTHING
    assert results(root) == results(tiny_root)
    kept = read_kept(Root.at(root))
    assert kept is not None
    assert kept.study.root == str(root)


def test_reanalysis_refuses_to_train_or_extract_and_says_what_is_missing(
    tiny_root: Path, tmp_path: Path, deployments: Deployments
) -> None:
    study = write_study(tmp_path, TINY | {"root": str(tmp_path / "root")})
    page = deployments.refused(
        reanalyse,
        "lacks networks: seed 0, seed 1; run `study` or `extend` first",
        key="tiny-report",
        study=str(study),
        epsilons=[0.4],
    )
    assert "kept in: " in page
    root = Path(shutil.copytree(tiny_root, tmp_path / "root", dirs_exist_ok=True))
    for record in (root / "cache" / "segments").iterdir():
        record.unlink()
    before = results(root)
    page = deployments.refused(
        reanalyse,
        "lacks segments: seed 0 · initial · images 0-44, seed 0 · initial · images 45-89, ",
        study=str(study),
        epsilons=[0.4],
    )
    assert "| networks | 0 | 2 | 0 |" in page
    assert "| segments | 0 | 0 | 8 |" in page
    assert results(root) == before


def test_what_contradicts_the_root_is_refused(
    tiny_root: Path, tmp_path: Path, deployments: Deployments
) -> None:
    root = Path(shutil.copytree(tiny_root, tmp_path / "root"))
    changed = write_study(tmp_path, TINY | {"root": str(root), "architecture": "vgg11"})
    says = "`architecture` must be as in what is there, 'vgg9-digits'"
    deployments.refused(extend, says, key="study-report", study=str(changed), more_seeds=1)
    deployments.refused(run_study, says, study=tiny(root, architecture="vgg11"))
    says = "`images` must be at least 90, which are compared already, got 45"
    deployments.refused(extend, says, key="root-report", study=str(root), images=45)
    says = "`checkpoints` must be initial, best, final or epoch1"
    deployments.refused(extend, says, key="root-report", study=str(root), checkpoints=["epoch7"])
    kept = json.loads((root / "study.json").read_text())
    kept["digests"]["training data"] = "0" * 64
    (root / "study.json").write_text(json.dumps(kept))
    says = "`study` must stand on the same training data as its last run"
    deployments.refused(extend, says, study=str(root), more_seeds=1)
    (root / "spanmatch.json").write_text('{"format": 99}')
    says = f"`root` must have storage format {FORMAT} or older, got 99"
    deployments.refused(reanalyse, says, key="root-report", study=str(root), epsilons=[0.4])
    deployments.refused(run_study, says, study=tiny(root))


def test_a_study_that_is_gone_is_refused(tmp_path: Path, deployments: Deployments) -> None:
    gone = tmp_path / "nightly.yaml"
    says = f"`study` must be a study's YAML file, or a root where a run has finished, got '{gone}'"
    deployments.refused(extend, says, key="nightly-report", study=str(gone))
    says = "which has no study.json; run the study first"
    (tmp_path / "empty").mkdir()
    deployments.refused(reanalyse, says, key="empty-report", study=str(tmp_path / "empty"), epsilons=[0.4])


@pytest.mark.parametrize("epsilons", [[], [1.5], [-0.1], [0.2, 1]])
def test_the_server_refuses_epsilons_that_cannot_be(
    epsilons: list[float], tmp_path: Path, deployments: Deployments
) -> None:
    for flow, study in ((reanalyse, str(tmp_path)), (run_study, tiny(tmp_path, epsilons=epsilons))):
        parameters = {"epsilons": epsilons} if flow is reanalyse else {}
        with pytest.raises(PrefectHTTPStatusError, match="409 Conflict") as refusal:
            deployments.create(flow, study=study, **parameters)
        assert "epsilons" in refusal.value.response.text


def test_what_only_the_study_refuses_is_on_the_page_too(tmp_path: Path, deployments: Deployments) -> None:
    deployments.refused(run_study, "`seeds` must hold at least two seeds", study=tiny(tmp_path, seeds=[0]))


def test_a_run_that_fails_on_the_way_says_what_is_left_undone(
    tmp_path: Path, deployments: Deployments
) -> None:
    training = {**TINY["training"], "learning_rate": 1e30}
    study = tiny(tmp_path / "root", training=training, checkpoints=["final"])
    run = deployments.run(run_study, study=study)
    assert run.state_name == "Failed"
    assert "SpanmatchError: training seed" in run.state.message
    (page,) = [one for one in deployments.artefacts(run) if one.key == "tiny-report"]
    assert "the loss must be finite, got nan in step 2 of epoch 1; lower" in page.data
    assert "| networks | 0 | 0 | 2 |" in page.data


def test_a_run_that_takes_too_long_ends_itself(tmp_path: Path, deployments: Deployments) -> None:
    run = deployments.run(run_study.with_options(timeout_seconds=1), study=tiny(tmp_path / "root"))
    assert run.state_name == "TimedOut"
    (page,) = [one for one in deployments.artefacts(run) if one.key == "tiny-report"]
    assert "Flow run exceeded timeout of 1.0 second(s)" in page.data
    assert re.search("Run it again|the same run again", page.data)


def test_a_deployment_imports_and_connects_to_what_is_listed_alone(
    tmp_path: Path, deployments: Deployments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "somebodys.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()"
    )
    root = tmp_path / "root"
    other = write_study(tmp_path, TINY | {"dataset": "somebodys:images", "root": str(root)})
    wanted = [
        ("`architecture` must", {"architecture": "somebodys:network"}),
        ("`dataset` must", {"dataset": "somebodys.data:images"}),
        ("`others.far.dataset` must", {"others": {"far": str(other)}, "compare": ["others"]}),
    ]
    for argument, changes in wanted:
        says = (
            f"{argument} name a module of a package that {MODULES} lists in the worker's environment (none)"
        )
        deployments.refused(run_study, says, study=tiny(root, **changes))
    monkeypatch.setenv(MODULES, "numpy, others")
    deployments.refused(run_study, "environment (numpy, others)", study=tiny(root, **wanted[0][1]))
    address = "tcp://127.0.0.1:8786"
    says = f"`scheduler` must be an address that {SCHEDULERS} lists in the worker's environment (none)"
    deployments.refused(run_study, says, study=tiny(root, scheduler=address))
    assert not (tmp_path / "ran").exists()
    assert not root.exists()
    monkeypatch.setenv(MODULES, "somebodys")
    deployments.refused(run_study, "does not import", study=tiny(root, **wanted[0][1]))
    assert (tmp_path / "ran").exists()
    monkeypatch.setenv(SCHEDULERS, address)
    deployments.refused(run_study, "a Dask scheduler that answers", study=tiny(root, scheduler=address))
