"""The Dask cluster of a study is lost, or has too little memory: ``pytest tests/drills/drill_dask.py -s``.

Takes minutes; fails if a result is lost, doubled or other than that of an undisturbed run.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    COMMAND,
    TINY,
    Environment,
    begin,
    cluster_commands,
    computed,
    end_group,
    free_port,
    inodes,
    results,
    spanmatch,
    wait_for_port,
    write_study,
)

SCHEDULER_GONE_SECONDS = 10

Start = Callable[..., list["subprocess.Popen[Any]"]]


@pytest.fixture
def address() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def start(address: str, env: Environment) -> Iterator[Start]:
    """Start a scheduler and two workers, the workers with further options."""
    started: list[subprocess.Popen[Any]] = []

    def start(*options: str) -> list[subprocess.Popen[Any]]:
        scheduler, workers = cluster_commands(address)
        cluster = [begin(command, env) for command in (scheduler, [*workers, *options])]
        started.extend(cluster)
        wait_for_port(int(address.rpartition(":")[2]), seconds=60)
        return cluster

    yield start
    for process in reversed(started):
        if process.poll() is None:
            end_group(process)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stage", ["networks", "segments", "comoments", "matches"])
def test_a_study_outlives_the_scheduler(
    stage: str, tiny_root: Path, tmp_path: Path, address: str, start: Start, env: Environment
) -> None:
    cluster, root = start(), tmp_path / "root"
    run = subprocess.Popen(
        [*COMMAND, "run", str(write_study(tmp_path, TINY)), "--root", str(root), "--scheduler", address],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    records = root / "cache" / stage
    while not (records.exists() and any(records.iterdir())):
        assert run.poll() is None, "the run ended before it could be disturbed"
        time.sleep(0.005)
    for process in cluster:
        end_group(process, signal.SIGKILL)
    kept, began = inodes(root / "cache"), time.monotonic()
    time.sleep(SCHEDULER_GONE_SECONDS)
    start()
    printed, _ = run.communicate(timeout=600)
    seconds = time.monotonic() - began
    print(f"\nscheduler gone after the first of {stage}: exit {run.returncode}, {seconds:.0f} s after")
    assert run.returncode == 0, printed
    assert kept.items() <= inodes(root / "cache").items(), "what has a record is not done again"
    assert results(root) == results(tiny_root)
    assert computed(root) == computed(tiny_root)


@pytest.mark.timeout(900)
def test_a_study_whose_workers_have_too_little_memory_says_so(
    tiny_root: Path, tmp_path: Path, address: str, start: Start, env: Environment
) -> None:
    study, root = write_study(tmp_path, TINY), tmp_path / "root"
    cluster = start("--memory-limit", "300MiB")
    began = time.monotonic()
    printed = spanmatch("run", study, "--root", root, "--scheduler", address, env=env, expect=2)
    print(f"\n300 MiB a worker: ended {time.monotonic() - began:.0f} s after\n{printed[-600:]}")
    assert "a piece of work must fit into a worker's memory" in printed
    assert "Traceback" not in printed
    for process in cluster:
        end_group(process)
    start("--memory-limit", "4GiB")
    spanmatch("run", study, "--root", root, "--scheduler", address, env=env)
    assert results(root) == results(tiny_root)
