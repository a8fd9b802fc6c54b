"""A study on a schedule, as a group runs it: database, server, work pool, deployments, worker.

On PostgreSQL; on SQLite where Debian's PostgreSQL is not installed, or needs not be.
"""

import json
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import zarr
from conftest import NOTHING, TINY, Environment, computed, mean_similarity, results
from installation import NIGHTLY, ON_DEMAND, Installation, installed
from services import until

# SQLite takes PostgreSQL's place where that is missing; where it is there it is the one that matters.
DATABASES = ["postgresql"] if needs.postgresql() else ["postgresql", "sqlite"]


@pytest.fixture(scope="module", params=DATABASES)
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bare_env: Environment
) -> Iterator[Installation]:
    """An installation whose worker is at work, and whose nightly study is due every few seconds."""
    if request.param == "postgresql":
        needs.find("postgresql")
    folder = tmp_path_factory.mktemp("installation")
    own_env = {**bare_env, "PREFECT_HOME": str(folder / "prefect")}
    with installed(folder, own_env, postgresql=request.param == "postgresql") as installation:
        installation.deploy(every_seconds=5)
        installation.start_worker()
        yield installation


@pytest.fixture(scope="module")
def scheduled(installation: Installation) -> dict[str, Any]:
    """The first run, which nobody asked for by hand; the schedule is paused while it goes on."""
    run, *_ = until(lambda: installation.api.runs(NIGHTLY, "RUNNING", "COMPLETED", "FAILED"), seconds=240)
    installation.pause(NIGHTLY)
    return installation.finished(run["id"])


def test_a_scheduled_run_completes_by_itself(
    installation: Installation, scheduled: dict[str, Any], tiny_root: Path
) -> None:
    assert scheduled["state_type"] == "COMPLETED", scheduled["state"]["message"]
    assert scheduled["auto_scheduled"]
    assert results(installation.root) == results(tiny_root)
    assert computed(installation.root) == computed(tiny_root)


def test_its_artefacts_hold_what_the_root_holds(
    installation: Installation, scheduled: dict[str, Any]
) -> None:
    similarity = mean_similarity(installation.root)
    artifacts = installation.api.artifacts(scheduled)
    assert shown(artifacts["tiny-similarity"]) == pytest.approx(similarity, abs=1e-4)
    report = artifacts["tiny-report"]
    assert "](data:image/png;base64," in report
    for (layer, _, _), value in similarity.items():
        assert layer in report
        assert f"{value:.3f}" in report


def test_further_epsilons_are_matched_from_what_is_there(
    installation: Installation, scheduled: dict[str, Any]
) -> None:
    """Two are asked for at once: one waits for the other to end, and adds to what that has added."""
    assert scheduled["state_type"] == "COMPLETED"
    before = mean_similarity(installation.root)
    asked = [installation.ask(ON_DEMAND, epsilons=[epsilon]) for epsilon in (0.2, 0.4)]
    runs = sorted(map(installation.finished, asked), key=itemgetter("start_time"))
    pairs = 2 * len(TINY["layers"])  # one at each checkpoint
    for run in runs:
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        tasks = installation.api.tasks(run)
        names = [task["name"] for task in tasks]
        assert sum(name.startswith("match ") for name in names) == pairs
        assert not [name for name in names if name.startswith(("train ", "extract ", "reduce ", "profile "))]
        reused = {task["name"] for task in tasks if task["state_name"] == "Cached"}
        assert {"networks · 2 reused", "segments · 8 reused", "grams · 4 reused"} <= reused
    assert runs[0]["end_time"] <= runs[1]["start_time"]
    assert computed(installation.root) == NOTHING | {"matches": pairs}

    similarity = mean_similarity(installation.root)
    assert sorted({epsilon for _, _, epsilon in similarity}) == [0.2, 0.3, 0.4, 0.5]
    assert similarity.items() >= before.items()
    assert similarity == pytest.approx(similarity_of_critical_epsilons(installation.root))
    assert shown(installation.api.artifacts(runs[1])["tiny-similarity"]) == pytest.approx(
        similarity, abs=1e-4
    )


def similarity_of_critical_epsilons(root: Path) -> dict[tuple[str, str, float], float]:
    """Another way to the same numbers: the share of neurons whose critical ε is no larger."""
    group = zarr.open_group(root / "critical_epsilons.zarr", mode="r")
    similarity = {}
    for layer, sides in group.groups():
        for place, pair in enumerate(group.attrs["pairs"]):
            moment = pair.rpartition("-")[2]
            critical = np.concatenate([sides[side][place] for side in "xy"])
            for epsilon in (0.2, 0.3, 0.4, 0.5):
                similarity[layer, moment, epsilon] = float(np.mean(critical <= epsilon))
    return similarity


def shown(table: str) -> dict[tuple[str, str, float], float]:
    return {(row["layer"], row["group"], row["epsilon"]): row["mean_similarity"] for row in json.loads(table)}
