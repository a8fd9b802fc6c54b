"""A study on a schedule, as a group runs it: database, server, work pool, deployments, worker.

On PostgreSQL; where Debian's PostgreSQL is not installed that is skipped by name, and SQLite does the same.
"""

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import zarr
from conftest import NOTHING, TINY, Environment, computed, mean_similarity, measured, results
from installation import FORM, NIGHTLY, ON_DEMAND, Installation, installed
from services import until

DATABASES = ["postgresql"] if needs.postgresql() else ["postgresql", "sqlite"]
FURTHER = [0.2, 0.4]


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.timeout(900)
def test_a_study_runs_on_schedule_and_is_reanalysed(
    database: str, tmp_path: Path, bare_env: Environment, request: pytest.FixtureRequest
) -> None:
    """One test, so that an installation is made once, whichever process runs it."""
    if database == "postgresql":
        needs.find("postgresql")
    tiny_root = request.getfixturevalue("tiny_root")
    own_env = {**bare_env, "PREFECT_HOME": str(tmp_path / "prefect")}
    with installed(tmp_path, own_env, postgresql=database == "postgresql") as installation:
        installation.deploy(every_seconds=5)
        installation.start_worker()

        first = first_scheduled(installation)
        assert first["state_type"] == "COMPLETED", first["state"]["message"]
        assert first["auto_scheduled"]
        assert results(installation.root) == results(tiny_root)
        assert computed(installation.root) == computed(tiny_root)
        check_artefacts(installation, first)

        before = mean_similarity(installation.root)
        check_reanalysis(installation, two_asked(installation))
        after = mean_similarity(installation.root)
        assert after.items() > before.items()
        assert after == pytest.approx(similarity_of_critical_epsilons(installation.root))

        check_cancellation(installation, tmp_path / "cancelled")


def first_scheduled(installation: Installation) -> dict[str, Any]:
    """Wait for the first run, which nobody asks for by hand; pause the schedule while it goes on."""
    run, *_ = until(lambda: installation.api.runs(NIGHTLY, "RUNNING", "COMPLETED", "FAILED"), seconds=240)
    installation.pause(NIGHTLY)
    return installation.finished(run["id"])


def check_artefacts(installation: Installation, run: dict[str, Any]) -> None:
    """A run's table and report hold what its root holds."""
    similarity = mean_similarity(installation.root)
    artifacts = installation.api.artifacts(run)
    table = {
        (row["layer"], row["group"], row["epsilon"]): row["mean_similarity"]
        for row in json.loads(artifacts["tiny-similarity"])
    }
    assert table == pytest.approx(similarity, abs=1e-4)
    report = artifacts["tiny-report"]
    assert "](data:image/png;base64," in report
    for (layer, _, epsilon), value in similarity.items():
        assert layer in report
        assert f"ε = {epsilon:g}" in report
        assert f"{value:.3f}" in report


def two_asked(installation: Installation) -> list[dict[str, Any]]:
    """Ask for two further ε at once, in two runs; return these in the order in which they went on."""
    asked = [installation.ask(ON_DEMAND, epsilons=[epsilon]) for epsilon in FURTHER]
    return sorted(map(installation.finished, asked), key=itemgetter("start_time"))


def check_reanalysis(installation: Installation, runs: list[dict[str, Any]]) -> None:
    """Each has matched its ε alone, from what was there; the second came after the first, and added to it."""
    pairs = 2 * len(TINY["layers"])  # one at each checkpoint
    for run in runs:
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        tasks = installation.api.tasks(run)
        names = [task["name"] for task in tasks]
        assert sum(name.startswith("match ") for name in names) == 1, "all are seconds of work: one job"
        assert not [name for name in names if name.startswith(("train ", "extract ", "reduce ", "profile "))]
        reused = {task["name"] for task in tasks if task["state_name"] == "Cached"}
        assert {"networks · 2 reused", "segments · 8 reused", "comoments · 24 reused"} <= reused
    first, second = runs
    assert first["end_time"] <= second["start_time"]
    assert second["expected_start_time"] < first["end_time"]
    values = measured(pairs, 2) - measured(pairs, 1)  # those at an ε
    assert computed(installation.root) == NOTHING | {"matches": pairs, "measures": values}
    assert {epsilon for _, _, epsilon in mean_similarity(installation.root)} == {*TINY["epsilons"], *FURTHER}
    check_artefacts(installation, second)


def check_cancellation(installation: Installation, root: Path) -> None:
    """A run that is cancelled while it trains ends with all its processes, and its page says what to do."""
    training = TINY["training"] | {"epochs": 1000}
    asked = installation.ask(FORM, study=installation.study | {"root": str(root), "training": training})
    until(lambda: any(root.glob("training/*")), seconds=120)
    processes = installation.at_work()
    installation.cancel(asked)
    run = installation.finished(asked)
    assert run["state_name"] == "Cancelled"
    until(lambda: not any(process.is_running() for process in processes), seconds=60)
    # the worker writes it, after the run has ended
    page = until(lambda: installation.api.artifacts(run).get("tiny-report"), seconds=60)
    assert "Run it again: it goes on from there" in page
    assert "Work done" not in page, "the worker cannot know"
    assert "networks: vgg9-digits on digits; seeds 0, 1" in page


def similarity_of_critical_epsilons(root: Path) -> dict[tuple[str, str, float], float]:
    """Another way to the same numbers: the share of neurons whose critical ε is no larger."""
    group = zarr.open_group(root / "critical_epsilons.zarr", mode="r")
    similarity = {}
    for layer, sides in group.groups():
        for place, pair in enumerate(group.attrs["pairs"]):
            moment = pair.rpartition("-")[2]
            critical = np.concatenate([sides[side][place] for side in "xy"])
            for epsilon in (*TINY["epsilons"], *FURTHER):
                similarity[layer, moment, epsilon] = float(np.mean(critical <= epsilon))
    return similarity
