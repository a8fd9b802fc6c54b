"""What a group runs on goes away in mid-run and comes back: ``pytest tests/drills/drill_outages.py -s``.

Takes minutes; fails if a result is lost, doubled or other than that of an undisturbed run.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import needs
import pytest
from conftest import NOTHING, Environment, computed, results, spanmatch, write_study
from installation import FORM, Installation, installed
from services import until

SERVER_GONE_SECONDS, DATABASE_GONE_SECONDS = 30, 10
TRAINING = {"epochs": 30, "batch_size": 64, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.0005}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, bare_env: Environment) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    postgresql = needs.postgresql() is not None
    own_env = {**bare_env, "PREFECT_HOME": str(folder / "prefect")}
    with installed(folder, own_env, postgresql=postgresql) as installation:
        installation.study["training"] = TRAINING
        installation.deploy(every_seconds=24 * 3600)
        installation.start_worker()
        yield installation


@pytest.fixture(scope="module")
def undisturbed(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory, bare_env: Environment
) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    spanmatch("run", write_study(folder, installation.study), "--root", folder / "root", env=bare_env)
    return results(folder / "root")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("what", ["nothing", "server", "database"])
def test_a_run_outlives(
    what: str, installation: Installation, undisturbed: tuple[str, str], tmp_path: Path
) -> None:
    if what == "database" and installation.database is None:
        needs.find("postgresql")
    study = installation.study | {"root": str(tmp_path / "root")}
    run = under_way(installation, study)
    began = time.monotonic()
    if what == "server":
        installation.server.stop()
        time.sleep(SERVER_GONE_SECONDS)
        installation.server.start()
    if what == "database":
        assert installation.database is not None
        installation.database.stop()
        time.sleep(DATABASE_GONE_SECONDS)
        installation.database.start()
    ended = installation.finished(run, seconds=600)
    say(installation, f"{what} gone", ended, began)
    assert ended["state_type"] == "COMPLETED"
    assert results(tmp_path / "root") == undisturbed
    assert {"tiny-similarity", "tiny-report"} <= installation.api.artifacts(ended).keys()


@pytest.mark.timeout(1200)
def test_a_run_is_cancelled(installation: Installation, undisturbed: tuple[str, str], tmp_path: Path) -> None:
    study = installation.study | {"root": str(tmp_path / "root")}
    run = under_way(installation, study)
    began = time.monotonic()
    installation.cancel(run)
    ended = installation.finished(run, seconds=300)
    say(installation, "cancelled", ended, began)
    assert ended["state_type"] == "CANCELLED"
    assert not (tmp_path / "root" / "similarity.csv").exists()
    # the worker writes it after the run's end
    reason = until(lambda: installation.api.artifacts(ended).get("tiny-report"), seconds=120)
    print(reason)
    assert "Run it again: it goes on from there" in reason
    began = time.monotonic()
    again = installation.finished(installation.ask(FORM, study=study), seconds=600)
    say(installation, "after it", again, began)
    assert again["state_type"] == "COMPLETED"
    assert results(tmp_path / "root") == undisturbed


def test_two_runs_of_one_study_go_on_at_once(
    installation: Installation, undisturbed: tuple[str, str], tmp_path: Path
) -> None:
    """By two commands, which no queue holds back, on the root that they share."""
    study = write_study(tmp_path, installation.study)

    def run(_: int) -> dict[str, int]:
        spanmatch("run", study, "--root", tmp_path / "root", env=installation.env)
        return computed(tmp_path / "root")

    with ThreadPoolExecutor(2) as both:
        print("\ntwo at once:", *both.map(run, range(2)))
    assert results(tmp_path / "root") == undisturbed
    spanmatch("run", study, "--root", tmp_path / "root", env=installation.env)
    assert computed(tmp_path / "root") == NOTHING


def under_way(installation: Installation, study: dict[str, Any]) -> str:
    """Ask for a run, and return when it trains."""
    run = installation.ask(FORM, study=study)
    epochs = Path(study["root"]) / "training"
    until(lambda: epochs.exists() and any(epochs.rglob("*")), seconds=300)
    return run


def say(installation: Installation, what: str, run: dict[str, Any], began: float) -> None:
    tasks = installation.api.tasks(run)
    states = sorted({task["state_type"] for task in tasks})
    due, start = (datetime.fromisoformat(run[name]) for name in ("expected_start_time", "start_time"))
    print(
        f"\n{what}: {run['state_name']} {time.monotonic() - began:.0f} s after, begun "
        f"{(start - due).total_seconds():.0f} s after it was due; "
        f"{len(tasks)} task runs, {', '.join(states)}; {run['state']['message'] or 'no message'}"
    )
