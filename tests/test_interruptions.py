"""Runs that are killed or interrupted, and clusters that lose workers: nothing is lost or done twice."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
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
    ledger,
    results,
    spanmatch,
    write_study,
)
from in_process import spanmatch_here
from test_reuse import recorded

from tasks.stages import STAGES


def wait_for_a_record(run: subprocess.Popen[Any], records: Path) -> None:
    while not (records.exists() and any(records.iterdir())):
        assert run.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.005)


def test_a_run_killed_at_one_stage_after_another_goes_on_where_it_was(
    tiny_root: Path, tmp_path: Path, env: Environment
) -> None:
    study, root = write_study(tmp_path, TINY), tmp_path / "root"
    before: dict[str, int] = {}
    for stage in ("networks", "segments", "matches", "measures"):  # of every form
        run = begin([*COMMAND, "run", str(study), "--root", str(root)], env)
        wait_for_a_record(run, root / "cache" / stage)
        end_group(run, signal.SIGKILL)
        finished = {each: len(recorded(root, each)) for each in STAGES}
        assert finished[stage] >= 1
        records = inodes(root / "cache")
        assert before.items() <= records.items(), "what has a record is not done again"
        before = records
    spanmatch("run", study, "--root", root, env=env)
    assert before.items() <= inodes(root / "cache").items()
    assert {each: len(recorded(root, each)) for each in STAGES} == times_recorded(root), "nor beside it"
    reused = {each: counts["reused"] for each, counts in ledger(root).items()}
    # the two layers of a forward pass are kept together
    assert finished == {**reused, "segments": 2 * reused["segments"]}
    assert results(root) == results(tiny_root)
    assert not list((root / "staging").iterdir()), "what the kills left is cleared away"


def test_a_streamed_run_killed_in_mid_pass_goes_on_and_mends_what_is_damaged(
    tiny_root: Path, tmp_path: Path, env: Environment, outside: list[str]
) -> None:
    study, root = write_study(tmp_path, TINY | {"activations": "stream"}), tmp_path / "root"
    run = begin([*COMMAND, "run", str(study), "--root", str(root)], env)
    while len(recorded(root, "networks")) < 2:
        assert run.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.005)
    time.sleep(0.5)  # networks pass, or have passed
    end_group(run, signal.SIGKILL)
    before = inodes(root / "cache")
    spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert before.items() <= inodes(root / "cache").items(), "what has a record is not done again"
    assert ledger(root)["networks"]["reused"] == 2
    assert not list((root / "staging").iterdir()), "what the kill left is cleared away"
    assert results(root) == results(tiny_root), "to the bits of what is kept"
    assert not (root / "segments").exists()
    damaged, *_ = sorted((root / "comoments").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-8] + bytes(8))
    for checkpoint in (root / "networks").rglob("*.safetensors"):
        checkpoint.write_bytes(b"")
    for stage in ("profiles", "matches", "measures"):  # which need what is damaged
        shutil.rmtree(root / "cache" / stage)
    printed = spanmatch_here("run", study, "--root", root, *outside, env=env)
    for what in (f"comoments/{damaged.name} (", "networks/"):
        assert re.search(rf"{re.escape(what)}.* is damaged: .*; computing it again", printed)
    assert results(root) == results(tiny_root)
    assert 1 <= computed(root)["comoments"] < len(recorded(root, "comoments"))


def times_recorded(root: Path) -> dict[str, int]:
    """Return how many records each stage has, in all its files."""
    files = {stage: (root / "cache" / stage).glob("*.json") for stage in STAGES}
    return {stage: sum(len(json.loads(file.read_text())) for file in found) for stage, found in files.items()}


@pytest.fixture
def cluster(env: Environment) -> Iterator[tuple[str, int]]:
    """A Dask cluster of the test's own, of two workers: its address, and the process that starts them."""
    address = f"tcp://127.0.0.1:{free_port()}"
    processes = [begin(command, env) for command in cluster_commands(address)]
    yield address, processes[1].pid
    for process in reversed(processes):
        end_group(process)


def kill_a_worker(parent: int) -> None:
    """Kill one of the Dask workers that a process has started."""
    workers = [child for child in psutil.Process(parent).children() if "spawn_main" in str(child.cmdline())]
    workers[0].kill()


def test_an_outside_cluster_that_loses_workers_gives_identical_results(
    tiny_root: Path, tmp_path: Path, cluster: tuple[str, int], env: Environment
) -> None:
    (scheduler, parent), root = cluster, tmp_path / "root"
    study = write_study(tmp_path, TINY)
    run = begin([*COMMAND, "run", str(study), "--root", str(root), "--scheduler", scheduler], env)
    for stage in ("segments", "comoments"):
        wait_for_a_record(run, root / "cache" / stage)
        kill_a_worker(parent)
    assert run.wait(timeout=200) == 0
    assert results(root) == results(tiny_root)


def see_interrupts() -> None:
    """Take interrupts as a program at a terminal does, even where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def test_an_interrupted_run_says_so_at_once_and_goes_on_where_it_was(
    tiny_root: Path, tmp_path: Path, bare_env: Environment
) -> None:
    study, root = write_study(tmp_path, TINY), tmp_path / "root"
    run = subprocess.Popen(
        [*COMMAND, "run", str(study), "--root", str(root)],
        env=bare_env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=see_interrupts,
    )
    wait_for_a_record(run, root / "cache" / "networks")
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the whole group
    printed, _ = run.communicate(timeout=60)
    assert run.returncode == 130, printed
    assert "stopped; the same command goes on from here" in printed
    assert "Traceback" not in printed
    spanmatch("run", study, "--root", root, env=bare_env)
    assert ledger(root)["networks"]["reused"] >= 1
    assert results(root) == results(tiny_root)
