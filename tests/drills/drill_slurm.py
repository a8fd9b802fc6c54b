"""A study on a real SLURM, whose jobs end while trainings go on: ``pytest tests/drills/drill_slurm.py -s``.

Starts Debian's slurm-wlm and munge by itself, takes three minutes, and fails if a training is taken away or a
result is other than that of a run on this machine.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Environment, computed, results, spanmatch, write_study
from deployed import FOLDER
from one_node import OneNode, one_node

EPOCHS, SEEDS = 4, (0, 1, 2)

# A training of a minute and two of some seconds, that take no core: most of it is waiting. Two jobs hold the
# three, so that one worker is idle beside one that trains, and then a whole job.
ARCHITECTURE = '''
import os
import time
from pathlib import Path

import torch
from torch import nn


class Slow(nn.Sequential):
    """Leaves a line for each epoch that begins, and takes its time over each batch of it."""

    def train(self, mode=True):
        if mode:
            with Path(os.environ["EPOCHS_LOG"]).open("a") as log:
                log.write(f"{time.time()} {self.seed} {os.environ.get('SLURM_JOB_ID')}\\n")
        return super().train(mode)

    def forward(self, images):
        if self.training:
            time.sleep(0.5 if self.seed else 3)
        return super().forward(images)


def slow(classes):
    network = Slow(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))
    network.seed = torch.initial_seed() % 10
    return network
'''

# The example as it is, with jobs of two workers that fit this machine, and less patience.
PROGRAM = """
import sys

sys.path.insert(0, {folder!r})
import slurm

slurm.JOB |= {{"cores": 2, "processes": 2, "memory": "4GB", "interface": "lo", "log_directory": {log!r}}}
slurm.JOB["scheduler_options"] = {{"dashboard_address": "127.0.0.1:0"}}
slurm.LOOK_EVERY, slurm.IDLE_LOOKS = "1s", 3
sys.exit(slurm.main(sys.argv[1:]))
"""


@pytest.fixture
def slurm() -> Iterator[OneNode]:
    with one_node(cpus=8) as slurm:
        yield slurm


def epochs(log: Path) -> list[tuple[float, int, str]]:
    lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    return [(float(began), int(seed), job) for began, seed, job in lines]


@pytest.mark.timeout(600)
def test_jobs_that_train_are_left_alone(slurm: OneNode, tmp_path: Path, bare_env: Environment) -> None:
    (tmp_path / "slow.py").write_text(ARCHITECTURE, encoding="utf-8")
    changes: dict[str, Any] = {
        "name": "drill",
        "architecture": "slow:slow",
        "seeds": list(SEEDS),
        "training": {"epochs": EPOCHS, "batch_size": 64, "images": 256},
        "layers": "default",
        "images": 90,
        "segment_images": 45,
        "epsilons": [0.3],
    }
    study, env = write_study(tmp_path, changes), {**bare_env, **slurm.env, "PYTHONPATH": str(tmp_path)}
    local, there = tmp_path / "local", tmp_path / "there"
    spanmatch("run", study, "--root", local, env={**env, "EPOCHS_LOG": str(tmp_path / "local.log")})
    program = PROGRAM.format(folder=str(FOLDER), log=str(tmp_path / "jobs"))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(study), "--root", str(there)],
        env={**env, "EPOCHS_LOG": str(tmp_path / "there.log")},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen, jobs = epochs(tmp_path / "there.log"), slurm.jobs()
    print(f"\non SLURM: {time.monotonic() - began:.0f} s, {len(seen)} epochs begun, {len(jobs)} jobs")
    for job in jobs:
        print(" ", *(f"{name} {job[name]}" for name in ("JobId", "JobState", "StartTime", "EndTime")))
    print(" ", *(f"seed {seed} in job {job}, {at - seen[0][0]:.0f} s;" for at, seed, job in seen))
    assert sorted(seed for _, seed, _ in seen) == sorted(SEEDS * EPOCHS), "each epoch begins once"
    assert len({(seed, job) for _, seed, job in seen}) == len(SEEDS), "each training stays in its job"
    assert results(there) == results(local)
    assert computed(there) == computed(local)
    last = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seen[-1][0]))
    assert any(job["EndTime"] < last for job in jobs), "scaling gave a job back while another trained"
