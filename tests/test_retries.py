"""What a task is tried again after: a lost scheduler, which comes back, and not a worker that dies of it."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from conftest import Environment, begin, cluster_commands, end_group, free_port
from distributed.comm import CommClosedError
from pipeline import quick
from prefect import flow
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed
from prefect.utilities.annotations import quote
from services import until

from flows.run.prepared import prepare
from spanmatch.errors import SpanmatchError
from storage.places import UnreachableRootError, UnusableRootError
from storage.records import Found, Records
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks import running
from tasks.cluster import Cluster, SilentSchedulerError, all_wait_for_memory
from tasks.retries import RETRIES, is_transient
from tasks.running import TASKS
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.work import Job, groups


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionResetError("reset"), True),
        (TimeoutError("late"), True),
        (SilentSchedulerError("no answer"), True),
        (UnreachableRootError("no answer"), True),
        (UnusableRootError("no room"), False),
        (PermissionError("no"), False),
        (SpanmatchError("NaN"), False),
        (ValueError("wrong"), False),
        (DamagedArtefactError(Artefact("matches", "key", "matches/key", ""), "gone"), False),
        (DamagedArtefactsError([]), False),
        (RuntimeError("the run's cluster is closed"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_be_over_later_is_tried_again(error: Exception, passing: bool) -> None:
    with disable_run_logger():
        assert is_transient(None, None, Failed(data=error)) is passing


def test_tries_come_ever_later() -> None:
    assert RETRIES["retry_delay_seconds"](RETRIES["retries"]) == [2, 4, 8, 16, 32]


def test_what_a_task_has_kept_is_not_computed_when_it_is_tried_again(
    tmp_path: Path, env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(quick(tmp_path))
    units = list(STAGES["networks"].plan(prepared.wanted, {}).values())
    asked: list[list[str]] = []

    def losing(stage: Stage, job: Job, root: Root, cluster: None, meter: None) -> dict[str, Found]:
        """Keep the first unit of a job; the first time, lose the connection then."""
        asked.append([unit.label for unit in job.units])
        one = job.units[0]
        kept = {key: {"digest": "", "epoch": 1, "accuracy": None, "loss": None} for key in one.keep}
        record = {"path": "", "digest": "", "checkpoints": kept, "history": []}
        found = Records(root).keep(stage.name, {one.key: record})
        if len(asked) == 1:
            raise ConnectionResetError("reset")
        return found

    monkeypatch.setattr(running, "compute", losing)

    @flow
    def run() -> dict[str, Found]:
        return TASKS["networks"](
            job=quote(Job(tuple(groups(units)))), root=prepared.root, cluster=None, meter=None
        )

    with temporary_settings({PREFECT_API_URL: env["PREFECT_API_URL"]}):
        assert run().keys() == {unit.key for unit in units}
    assert asked == [["seed 0", "seed 1"], ["seed 1"]]


@pytest.fixture
def scheduler() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler with workers: its address, and the processes, to which a test may add."""
    address = f"tcp://127.0.0.1:{free_port()}"
    processes = [begin(command) for command in cluster_commands(address)]
    yield address, processes
    for process in reversed(processes):
        if process.poll() is None:
            end_group(process)


def wait_for(cluster: Cluster, address: str) -> None:
    """Wait until a scheduler and a worker answer."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        try:
            cluster.client.wait_for_workers(1, timeout=30)
        except (OSError, ValueError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{address} did not answer")


def test_a_scheduler_that_is_lost_is_found_again_when_it_is_back(
    scheduler: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    address, processes = scheduler
    with Cluster(address) as cluster:
        wait_for(cluster, address)
        errors: list[BaseException] = []
        under_way = threading.Thread(target=lambda: errors.append(lost(cluster)))
        under_way.start()
        while not any(cluster.client.processing().values()):
            time.sleep(0.01)
        for process in processes:
            end_group(process)
        under_way.join(60)
        (error,) = errors
        assert f"the one at {address} was lost" in str(error)
        processes += [begin(command) for command in cluster_commands(address)]
        wait_for(cluster, address)
        assert cluster.run(abs, -3) == 3


def lost(cluster: Cluster) -> BaseException:
    with pytest.raises(ConnectionError) as caught:
        cluster.run(time.sleep, 600)
    return caught.value


def test_a_result_lost_on_its_way_is_a_lost_scheduler_and_a_piece_of_work_that_fails_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def closed(**_: object) -> None:
        raise CommClosedError("stream is closed")

    with Cluster() as cluster:
        with pytest.raises(FileNotFoundError):
            cluster.run(os.stat, "absent")
        monkeypatch.setattr(cluster.client.scheduler, "gather", closed, raising=False)
        with pytest.raises(ConnectionError, match="the one of this machine was lost"):
            cluster.run(abs, -3)
        monkeypatch.undo()
        assert cluster.run(abs, -3) == 3
        client = cluster.client
        client.close()
        monkeypatch.setattr(Cluster, "client", client)  # closed after it was looked at
        with pytest.raises(ConnectionError, match="the one of this machine was lost"):
            cluster.run(abs, -3)


def test_work_that_kills_its_workers_is_no_fault_of_ours_and_says_what_to_do() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        Cluster() as cluster,
        pytest.raises(SpanmatchError, match="must fit into a worker's memory, but 1 workers died of one"),
    ):
        cluster.run(os._exit, 1)


def test_workers_that_wait_for_memory_for_ever_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.cluster._LOOK_SECONDS", 0.5)
    full = {"distributed.worker.memory.pause": 1e-6, "distributed.worker.memory.terminate": False}
    with dask.config.set(full), Cluster() as cluster:
        until(lambda: all_wait_for_memory(cluster.client.scheduler_info()["workers"].values()), seconds=60)
        with pytest.raises(
            SpanmatchError, match=r"workers must have memory for a piece .*; give workers more"
        ):
            cluster.run(abs, -3)


@pytest.mark.parametrize(
    ("workers", "waiting"),
    [
        ([("paused", {}), ("paused", {"ready": 3})], True),
        ([("paused", {}), ("paused", {"executing": 1})], False),
        ([("paused", {}), ("running", {})], False),
        ([], False),
    ],
)
def test_workers_that_work_or_may_yet_come_are_waited_for(
    workers: list[tuple[str, dict[str, int]]], waiting: bool
) -> None:
    described = [{"status": status, "metrics": {"task_counts": counts}} for status, counts in workers]
    assert all_wait_for_memory(described) is waiting
