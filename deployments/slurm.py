"""A study on a SLURM cluster, an example to adapt: ``python deployments/slurm.py STUDY`` on its login node.

Needs ``pip install dask-jobqueue``, a root that every node sees, and a network that you trust, since whoever
reaches the scheduler can run code on its workers.
"""

import subprocess
import sys
from collections import Counter
from typing import Any

from dask_jobqueue import SLURMCluster
from distributed import Adaptive

# Each job: four workers of one thread and 8 GB each, for four hours.
JOB = {
    "queue": "cpu",
    "cores": 4,
    "processes": 4,
    "memory": "32GB",
    "walltime": "04:00:00",
    "worker_extra_args": ["--lifetime", "225m", "--lifetime-stagger", "5m"],  # over before SLURM ends the job
    "job_script_prologue": ["export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"],
    "log_directory": "runs/slurm",
    "python": sys.executable,
}
MOST_JOBS = 8
LOOK_EVERY = "5s"
IDLE_LOOKS = 12  # in a row that find a job idle, before it is given back: a minute


class WholeJobs(Adaptive):
    """Asks for a worker for each piece of work, and gives back jobs whose workers do and hold nothing.

    Dask's own scaling takes single workers, and with the job of one that is idle those of its workers that
    train; a job that has not quite started goes with the workers that have. It also counts a piece of unknown
    duration as half a second, so that a study's first trainings would share one worker.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Dask's own
        super().__init__(*args, **kwargs)
        self._started: set[str] = set()

    async def target(self) -> int:
        """Return how many pieces of work there are."""
        scheduler = self.cluster.scheduler
        waiting = len(scheduler.queued) + len(scheduler.unrunnable)
        return waiting + sum(len(worker.processing) for worker in scheduler.workers.values())

    async def recommendations(self, target: int) -> dict[str, Any]:
        """Say which jobs to give back, or how many workers to ask for.

        A job whose workers are all gone is idle; one that waits in SLURM's queue for its first is left alone.
        """
        job_of = self._job_of()
        workers = [each for each in self.cluster.scheduler.workers.values() if each.name in job_of]
        self._started = {job_of[each.name] for each in workers} | self._started & set(job_of.values())
        busy = {
            job_of[each.name] for each in workers if each.processing or each.long_running or each.has_what
        }
        self.close_counts = Counter({job: self.close_counts[job] + 1 for job in self._started - busy})
        idle = [job for job, looks in self.close_counts.items() if looks >= self.wait_count]
        if idle:
            return {"status": "down", "workers": idle}
        return {"status": "up", "n": target} if target > len(self.plan) else {"status": "same"}

    async def scale_down(self, workers: list[str]) -> None:
        """Give jobs back; from here on none of their workers is handed any work."""
        names = [name for name, job in self._job_of().items() if job in workers]
        await self.cluster.scheduler.retire_workers(names=names, close_workers=True)
        await self.cluster.scale_down(workers)

    def _job_of(self) -> dict[str, str]:
        """Return the job of each worker that was asked for, by its name."""
        jobs = self.cluster.worker_spec.items()
        return {f"{job}{suffix}": job for job, spec in jobs for suffix in spec.get("group", [""])}


def main(arguments: list[str]) -> int:
    """Run ``spanmatch run`` on workers that SLURM starts; return its exit code."""
    with SLURMCluster(**JOB) as cluster:
        cluster.adapt(
            minimum_jobs=0,
            maximum_jobs=MOST_JOBS,
            Adaptive=WholeJobs,
            interval=LOOK_EVERY,
            wait_count=IDLE_LOOKS,
        )
        sys.stderr.write(f"Dask scheduler at {cluster.scheduler_address}\n")
        command = [sys.executable, "-m", "spanmatch", "run", *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--scheduler", cluster.scheduler_address], check=False
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
