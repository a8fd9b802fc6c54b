"""A study on a SLURM cluster: ``python deployments/slurm.py STUDY``, on its login node.

What follows is passed to ``spanmatch run``. An example to adapt: needs ``pip install dask-jobqueue``, a root
that every node sees, and a network that you trust, since whoever reaches the scheduler can run code on its
workers. Jobs come and go with the work; when the run is over, or interrupted, they end.
"""

import subprocess
import sys

from dask_jobqueue import SLURMCluster

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


def main(arguments: list[str]) -> int:
    """Run ``spanmatch run`` on workers that SLURM starts; return its exit code."""
    with SLURMCluster(**JOB) as cluster:
        cluster.adapt(minimum_jobs=0, maximum_jobs=MOST_JOBS)
        sys.stderr.write(f"Dask scheduler at {cluster.scheduler_address}\n")
        command = [sys.executable, "-m", "flows.cli", "run", *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--scheduler", cluster.scheduler_address], check=False
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
