"""What a task is tried again after: a lost scheduler, which comes back, and not a worker that dies of it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import dask
import pytest
from conftest import end_group, free_port
from prefect.states import Failed

from storage.places import UnreachableRootError, UnusableRootError
from storage.root import DamagedArtefactError
from tasks.cluster import Cluster, SilentSchedulerError
from tasks.retries import RETRIES, may_pass
from tasks.unit import MendableError


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionResetError("reset"), True),
        (TimeoutError("late"), True),
        (SilentSchedulerError("no answer"), True),
        (UnreachableRootError("no answer"), True),
        (UnusableRootError("no room"), False),
        (PermissionError("no"), False),
        (MendableError("NaN"), False),
        (ValueError("wrong"), False),
        (DamagedArtefactError("grams", "key", "gone"), False),
        (RuntimeError("the run's cluster is closed"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_be_over_later_is_tried_again(
    error: Exception, passing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    assert may_pass(None, None, Failed(data=error)) is passing


def test_tries_come_ever_later() -> None:
    assert RETRIES["retry_delay_seconds"](RETRIES["retries"]) == [2, 4, 8, 16, 32]


def start(port: int) -> list[subprocess.Popen[bytes]]:
    commands = [
        ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)],
        ["distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1", "--host", "127.0.0.1"],
    ]
    quiet = subprocess.DEVNULL
    return [
        subprocess.Popen(
            [sys.executable, "-m", *command, "--no-dashboard"],
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
        for command in commands
    ]


@pytest.fixture
def scheduler() -> Iterator[tuple[int, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler with a worker: its port, and the processes, to which a test may add."""
    port = free_port()
    processes = start(port)
    yield port, processes
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
    scheduler: tuple[int, list[subprocess.Popen[bytes]]],
) -> None:
    port, processes = scheduler
    address = f"tcp://127.0.0.1:{port}"
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
        assert [str(error) for error in errors] == [f"the Dask scheduler at {address} was lost"]
        processes += start(port)
        wait_for(cluster, address)
        assert cluster.run(abs, -3) == 3


def lost(cluster: Cluster) -> BaseException:
    with pytest.raises(ConnectionError) as caught:
        cluster.run(time.sleep, 600)
    return caught.value


def test_work_that_kills_its_workers_is_no_fault_of_ours_and_says_what_to_do() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        Cluster() as cluster,
        pytest.raises(MendableError, match="must fit into a worker's memory, but 1 workers died of one"),
    ):
        cluster.run(os._exit, 1)
