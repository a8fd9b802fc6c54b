"""What a further ε costs beside an empty flow of as many tasks: ``python -m benchmarks.reanalysis``.

Each run is a process of its own on one Prefect server, as a worker starts it. The study is small, so that
what is measured is the orchestration; the matching itself is measured apart, without Prefect and Dask.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx

from benchmarks.clock import markdown
from benchmarks.empty_flow import report
from flows.command.server import PrefectServer
from flows.deployed import reanalyse, run_study
from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.study.growth import grown
from flows.study.kept import find_study
from flows.study.model import Study
from flows.study.resolve import resolve
from tasks.matches import MatchUnit, compute
from tasks.statistic import Reading

OURS, EMPTY = "benchmarks.reanalysis", "benchmarks.empty_flow"
LAYERS = 16
STUDY: dict[str, Any] = {
    "name": "reanalysed",
    "dataset": "digits",
    "architecture": "resnet20",
    "width": 0.5,
    "seeds": [0, 1, 2],
    "training": {"epochs": 1, "images": 200},
    "checkpoints": ["final"],
    "images": 200,
    "epsilons": [0.3],
}


def ours(root: str, epsilon: float | None) -> Callable[[], object]:
    if epsilon is not None:
        return partial(reanalyse, root, [epsilon])
    study = Study.model_validate({**STUDY, "root": root})
    return partial(run_study, study.model_copy(update={"layers": list(resolve(study).layers[:LAYERS])}))


def arithmetic(root: str, epsilon: float) -> float:
    """Return the seconds that the matching itself takes, all units one after the other."""
    study, _ = find_study(root)
    prepared = look(grown(study, epsilons=[epsilon]))
    planned = foresee(prepared)["matches"].units.values()
    new = [cast("MatchUnit", unit) for unit in planned if cast("MatchUnit", unit).epsilon == epsilon]
    compute(prepared.root, [replace(new[0], epsilon=0.9)], Reading(prepared.root))  # what is imported once
    reading, before = Reading(prepared.root), time.perf_counter()
    for unit in new:
        compute(prepared.root, [unit], reading)
    return time.perf_counter() - before


def in_a_process(environment: dict[str, str], module: str, *options: object) -> dict[str, Any]:
    """Run a process with one run in it; return what it said, and how long it took."""
    command = [sys.executable, "-m", module, *map(str, options)]
    before = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    said = json.loads(done.stdout.splitlines()[-1])
    return {**said, "whole": time.perf_counter() - before}


def task_runs(address: str) -> int:
    return int(httpx.post(f"{address}/task_runs/count", json={}, timeout=30).json())


def settled_task_runs(address: str) -> int:
    """Return how many task runs the server knows, once that stays the same: it records them late."""
    before, now = -1, task_runs(address)
    while now != before:
        time.sleep(3)
        before, now = now, task_runs(address)
    return now


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reanalysis", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each is run")
    parser.add_argument("--root", help=argparse.SUPPRESS)
    parser.add_argument("--epsilon", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.root is not None:
        report(ours(arguments.root, arguments.epsilon))
        return
    with tempfile.TemporaryDirectory(prefix="spanmatch-") as where:
        os.environ["PREFECT_HOME"] = f"{where}/prefect"
        os.environ.pop("PREFECT_API_URL", None)
        measure(Path(where) / "root", arguments.runs)


def measure(root: Path, runs: int) -> None:
    server = PrefectServer()
    server.wait()
    environment = {
        **os.environ,
        "PREFECT_API_URL": server.url,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
    }
    in_a_process(environment, OURS, "--root", root)
    rows = []
    for number in range(runs):
        epsilon = 0.31 + number / 100
        known = settled_task_runs(server.url)
        run = in_a_process(environment, OURS, "--root", root, "--epsilon", epsilon)
        tasks = settled_task_runs(server.url) - known
        nothing = in_a_process(environment, EMPTY, tasks)
        more = {key: run[key] - nothing[key] for key in run}
        matching = arithmetic(str(root), 0.61 + number / 100)
        rows.append(row(f"`reanalyse`, ε {epsilon:g}", run, tasks))
        rows.append(row("empty flow", nothing, tasks))
        rows.append(row("more than the empty flow", more, 0))
        rows.append(("the matching itself, one unit after the other", "", f"{matching:.1f} s", "", ""))
    print(markdown(rows, ("what", "process", "run", "task runs", "requests")))


def row(what: str, run: dict[str, Any], tasks: int) -> tuple[str, ...]:
    seconds = [f"{run[key]:.1f} s" for key in ("whole", "seconds")]
    return what, *seconds, str(tasks), str(run["requests"])


if __name__ == "__main__":
    main()
