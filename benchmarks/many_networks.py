"""What many networks cost beside their training: ``python -m benchmarks.many_networks [--quick]``.

Ten untrained networks, all pairs in all layers; then a further ε, and some at which hardly anything matches:
what those take is planning, reading, keeping and orchestration. Each run is a process of its own.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.clock import markdown
from benchmarks.reanalysis import in_a_process, settled_task_runs
from flows.command.server import PrefectServer
from flows.deployed import reanalyse, run_study
from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.study.growth import grown
from flows.study.kept import find_study
from flows.study.model import Study
from tasks.cluster import started_ahead
from tasks.progress import listening
from tasks.stages import STAGES
from tasks.statistic import Reading

OURS = "benchmarks.many_networks"
STUDY: dict[str, Any] = {
    "name": "many",
    "dataset": "digits",
    "architecture": "vgg9-digits",
    "seeds": list(range(10)),
    "checkpoints": ["initial"],
    "images": "all",
    "epsilons": [0.15, 0.2, 0.25, 0.3, 0.5],
}
QUICK: dict[str, Any] = {**STUDY, "seeds": [0, 1], "images": 20, "epsilons": [0.3]}
FURTHER = [0.4]
HARDLY_ANY = [0.001, 0.002, 0.003]
BY_EPSILON = ("matches", "measures")


class Stages:
    """Listens for how long each stage took that had something to compute."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begun: dict[str, float] = {}

    def planned(self, stage: str, steps: int, units: int) -> None:  # noqa: ARG002
        if units:
            self._begun[stage] = time.perf_counter()

    def advanced(self, stage: str, part: str, done: int) -> None: ...

    def finished(self, stage: str) -> None:
        if stage in self._begun:
            self.seconds[stage] = time.perf_counter() - self._begun[stage]

    def noticed(self, message: str) -> None: ...


def one_run(root: str, study: dict[str, Any], epsilons: Sequence[float]) -> None:
    """Run the study, or give it further ε; print as JSON what each stage took, and the whole."""
    stages, before = Stages(), time.perf_counter()
    with listening(stages):
        if epsilons:
            reanalyse(root, list(epsilons))
        else:
            with started_ahead(True):
                run_study(Study.model_validate({**study, "root": root}))
    print(json.dumps({"run": time.perf_counter() - before, **stages.seconds}))


def own_work(root: str, epsilons: Sequence[float]) -> tuple[int, float]:
    """Return how many units further ε will have, and their seconds, one by one and keeping nothing."""
    study, _ = find_study(root)
    prepared = look(grown(study, epsilons=epsilons))
    stages, reading = foresee(prepared), Reading(prepared.root)
    count, before = 0, time.perf_counter()
    for name in BY_EPSILON:
        for named in stages[name].lacking.values():
            STAGES[name].compute(prepared.root, [unit for _, unit in named], reading)
            count += len(named)
    return count, time.perf_counter() - before


def files(root: Path) -> int:
    return sum(path.is_file() for path in root.rglob("*"))


def measure(root: Path, options: Sequence[str]) -> list[tuple[str, ...]]:
    server = PrefectServer()
    server.wait()
    environment = {
        **os.environ,
        "PREFECT_API_URL": server.url,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
    }
    rows = []

    def run(what: str, epsilons: Sequence[float]) -> dict[str, float]:
        known = settled_task_runs(server.url)
        said = in_a_process(environment, OURS, "--root", root, *options, "--epsilons", *epsilons)
        tasks = settled_task_runs(server.url) - known
        seconds = [f"{said[name]:.1f} s" if name in said else "" for name in ("run", *STAGES)]
        rows.append((what, *seconds, str(tasks), f"{files(root):,}"))
        print(rows[-1], file=sys.stderr, flush=True)
        return said

    run("the study", [])
    run("a further ε", FURTHER)
    units, own = own_work(str(root), HARDLY_ANY)
    said = run("three ε at which little matches", HARDLY_ANY)
    cores = os.cpu_count() or 1
    thousand = (sum(said[name] for name in BY_EPSILON) - own / cores) / units * 1000
    print(f"The last are {units:,} units, which take {own:.1f} s one after the other, keeping nothing;")
    print(f"beside that, divided by {cores} cores, a thousand units take {thousand:.1f} s.\n")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_networks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two networks, to see that it works")
    parser.add_argument("--root", help=argparse.SUPPRESS)
    parser.add_argument("--epsilons", type=float, nargs="*", default=[], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.root is not None:
        one_run(arguments.root, QUICK if arguments.quick else STUDY, arguments.epsilons)
        return
    with tempfile.TemporaryDirectory(prefix="spanmatch-") as where:
        os.environ["PREFECT_HOME"] = f"{where}/prefect"
        os.environ.pop("PREFECT_API_URL", None)
        rows = measure(Path(where) / "root", ["--quick"] if arguments.quick else [])
    print(markdown(rows, ("what", "run", *STAGES, "task runs", "files")))
    print(f"\n{os.cpu_count()} cores; load at the end {os.getloadavg()[1]:.1f}.")


if __name__ == "__main__":
    main()
