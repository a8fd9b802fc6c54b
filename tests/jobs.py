"""The scaling of deployments/slurm.py, with jobs that are processes of this machine."""

import importlib.util
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from conftest import begin, end_group
from dask_jobqueue.local import LocalCluster, LocalJob
from deployed import FOLDER
from distributed import Client, Future
from services import until

IDLE_SECONDS = 1.0  # after which a job is given back


def slurm_example() -> ModuleType:
    found = importlib.util.spec_from_file_location("slurm_example", FOLDER / "slurm.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Job(LocalJob):
    """A process that leads its own group; the class that it stands on leaves pipes open."""

    _processes: ClassVar[dict[str, "subprocess.Popen[bytes]"]] = {}

    async def _submit_job(self, script_filename: str) -> str:
        process = begin(shlex.split(Path(script_filename).read_text(encoding="utf-8")))
        self._processes[str(process.pid)] = process
        return str(process.pid)

    @classmethod
    async def _close_job(cls, job_id: str, cancel_command: str) -> None:
        process = cls._processes.pop(job_id)
        if process.poll() is None:
            end_group(process, signal.SIGKILL)


class Jobs(LocalCluster):
    job_cls = Job


@contextmanager
def scaled_jobs() -> Iterator[tuple[Jobs, Client]]:
    """Run at most two jobs of two workers each, as the example scales them."""
    job = {"cores": 2, "processes": 2, "memory": "2GB", "interface": "lo", "python": sys.executable}
    with Jobs(**job, scheduler_options={"dashboard_address": "127.0.0.1:0"}) as cluster:
        cluster.adapt(
            Adaptive=slurm_example().WholeJobs,
            minimum_jobs=0,
            maximum_jobs=2,
            interval="100ms",
            wait_count=int(IDLE_SECONDS * 10),
        )
        with Client(cluster, set_as_default=False) as client:
            yield cluster, client


def submit(client: Client, log: Path, seconds: float) -> Future:
    """Submit a piece of work that leaves a line each time that it begins."""
    work = ["sh", "-c", f"echo begun >> '{log}'; sleep {seconds}"]
    return client.submit(subprocess.run, work, pure=False)


def check_work_is_left_alone(folder: Path) -> None:
    with scaled_jobs() as (cluster, client):
        pieces = [submit(client, folder / f"{index}", 6 if index == 0 else 0.1) for index in range(4)]
        until(lambda: len(cluster.worker_spec) == 2, seconds=20)
        long = pieces[0]
        del pieces  # what they returned is wanted no more
        until(lambda: len(cluster.worker_spec) == 1, seconds=20)
        assert not long.done(), "the idle job went first"
        long.result(timeout=20)
        assert (folder / "0").read_text() == "begun\n"
        del long
        until(lambda: not cluster.worker_spec, seconds=20)


def check_data_is_left_alone(folder: Path) -> None:
    with scaled_jobs() as (cluster, client):
        held = submit(client, folder / "held", 0.1)
        held.result(timeout=20)
        time.sleep(2 * IDLE_SECONDS)
        assert len(cluster.worker_spec) == 1
        assert client.submit(lambda done: done.returncode, held).result(timeout=20) == 0
        assert (folder / "held").read_text() == "begun\n"
        del held
        until(lambda: not cluster.worker_spec, seconds=20)


def check_jobs_that_are_over_are_replaced(folder: Path) -> None:
    with scaled_jobs() as (cluster, client):
        submit(client, folder / "first", 0.1).result(timeout=20)
        (group,) = [int(job.job_id) for job in cluster.workers.values()]
        os.killpg(group, signal.SIGKILL)
        until(lambda: not cluster.worker_spec, seconds=20)
        submit(client, folder / "second", 0.1).result(timeout=20)
