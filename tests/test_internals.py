"""What `tasks.internals`, and `tasks.mendable` by name, take for granted, asked of the real thing."""

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import spawn
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from conftest import Environment
from distributed import Client, KilledWorker, LocalCluster
from pipeline import in_this_process
from prefect.exceptions import PrefectHTTPStatusError
from services import until

from tasks import internals
from tasks.cluster import Cluster
from tasks.interrupts import children_uninterrupted
from tasks.mendable import explained

linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")

TWO_TASKS = """
import json
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
from tasks.internals import known_state

@task
def halve(number):
    return 1 / number

@flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
def run():
    futures = [halve.submit(number) for number in (1, 0)]
    for future in futures:
        future.wait()
    print(json.dumps([state and state.name for state in map(known_state, futures)]))

run()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


@pytest.fixture(scope="module")
def inside() -> Iterator[Cluster]:
    with in_this_process() as started:
        yield started


def parents(cluster: Cluster) -> set[int]:
    return set(cluster.client.run(os.getppid).values())


@linux
def test_all_workers_are_forked_from_one_process(cluster: Cluster) -> None:
    found = parents(cluster)
    assert len(found) == 1, f"`forked_workers`: workers were started one by one, by {found}"
    assert os.getpid() not in found, "`forked_workers`: workers were spawned, not forked"


@linux
def test_the_process_that_forks_has_imported_what_workers_need(cluster: Cluster) -> None:
    (server,) = parents(cluster)
    command = Path(f"/proc/{server}/cmdline").read_text().split("\0")
    for module in ("distributed.worker", "tasks.work"):
        assert module in command[-2], f"`forked_workers`: {module} is not imported before the fork: {command}"


@linux
def test_the_process_that_forks_does_not_look_in_the_current_folder(cluster: Cluster) -> None:
    (server,) = parents(cluster)
    command = Path(f"/proc/{server}/cmdline").read_text().split("\0")
    assert "-P" in command, f"`safe_path`: it was started without -P: {command}"


def test_workers_do_not_import_this_program(cluster: Cluster) -> None:
    for found in cluster.client.run(eval, "getattr(__import__('__main__'), '__file__', None)").values():
        assert found is None, f"`workers_without_program`: a worker has imported {found}"


def test_a_process_learns_of_its_program_under_the_names_that_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a worker of pytest-xdist is no program
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    found = {key for key in spawn.get_preparation_data("another") if key.startswith("init_main_")}
    assert found, "`workers_without_program`: `multiprocessing` names the program otherwise"


def test_workers_processes_have_the_name_by_which_they_are_told(cluster: Cluster) -> None:
    for name in cluster.client.run(eval, "__import__('multiprocessing').current_process().name").values():
        assert name.startswith(internals.WORKER_PROCESS), f"`WORKER_PROCESS`: a worker is called {name!r}"


def test_once_the_resource_tracker_runs_starting_it_unblocks_no_interrupt() -> None:
    internals.start_resource_tracker()
    with children_uninterrupted():
        multiprocessing.resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGINT in blocked, "`start_resource_tracker`: SIGINT reaches what is started afterwards"


def test_a_killed_worker_says_how_many_died_and_where_the_last_was() -> None:
    with LocalCluster(
        n_workers=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        silence_logs=logging.CRITICAL,
    ) as workers:
        (last,) = workers.scheduler.workers.values()
        killed = KilledWorker("piece", last, 3)
        assert internals.deaths(killed) == (4, last.address), "`deaths`: KilledWorker has other attributes"
        assert str(killed.allowed_failures + 1) in str(killed), "`deaths`: it counts otherwise"


def test_a_worker_is_described_with_its_status_and_what_is_under_way(inside: Cluster) -> None:
    def worker() -> Any:
        (found,) = inside.client.scheduler_info()["workers"].values()
        return found

    assert worker()["status"] == "running", "`waits_for_memory`: states have other names"
    piece = inside.submit(time.sleep, 3)
    until(lambda: worker()["metrics"]["task_counts"].get("executing") == 1, seconds=20)
    assert not internals.waits_for_memory({**worker(), "status": "paused"})
    piece.result(timeout=20)
    until(lambda: internals.waits_for_memory({**worker(), "status": "paused"}), seconds=20)


def test_a_client_that_is_closed_says_so(inside: Cluster) -> None:
    client = Client(inside.address, set_as_default=False)
    client.close()
    with pytest.raises(internals.ClosedClientError):
        client.submit(abs, -1)


def test_what_a_task_of_a_thread_pool_came_to_is_known_here(env: Environment, tmp_path: Path) -> None:
    program = tmp_path / "two_tasks.py"
    program.write_text(TWO_TASKS)
    done = subprocess.run(
        [sys.executable, str(program)], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout, f"`known_state`: {done.stderr}"
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == ["Completed", "Failed"], f"`known_state`: tasks leave {found} in their futures"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "a piece of work must fit into memory"),
        (httpx.ConnectError("refused"), "`PREFECT_API_URL` must be"),
        (
            PrefectHTTPStatusError(
                "503", request=httpx.Request("GET", "http://x"), response=httpx.Response(503)
            ),
            "`PREFECT_API_URL` must be",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_that_are_told_by_their_names_have_them(error: Exception, advice: str) -> None:
    found = explained(error)
    assert advice in str(found), f"`explained`: {type(error)} is called otherwise, and is shown as a bug"
