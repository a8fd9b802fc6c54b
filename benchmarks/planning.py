"""What it costs to plan a large study: ``python -m benchmarks.planning [--quick]``.

Every unit is planned for real, gathered to jobs, and given a made-up record; nothing is computed. Then
`status` looks all of it up again, as a run does that finds everything there.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.clock import markdown, show_seconds
from flows.command.status import status
from flows.run import plan
from flows.run.prepared import Prepared, prepare
from flows.study.model import Study
from storage.records import Found, Records
from tasks.stage import Stage
from tasks.unit import Done, Unit
from tasks.work import jobs

STUDY: dict[str, Any] = {
    "name": "planned",
    "dataset": "digits",
    "architecture": "resnet56",
    "width": 0.25,
    "seeds": list(range(10)),
    "checkpoints": ["initial"],
    "layers": ["default"],
    "images": 360,
    "segment_images": 36,
    "epsilons": [0.15, 0.2, 0.25, 0.3, 0.5],
}
QUICK: dict[str, Any] = {**STUDY, "architecture": "vgg9-digits", "seeds": [0, 1], "segment_images": 180}
MEASURED = {
    "value": 0.5,
    "reason": "",
    "samples": 360,
    "null": [0.1] * 20,
    "without": [0.5] * 10,
    "first": [0.5] * 4,
    "held_out": 0.4,
}
CHECKPOINT = {"digest": "0" * 64, "epoch": 0, "accuracy": 0.1, "loss": 2.3}
RECORDS: dict[str, Callable[[Unit], dict[str, Any]]] = {
    "networks": lambda unit: {
        "path": "",
        "digest": unit.key,
        "checkpoints": {"initial": {**CHECKPOINT, "digest": unit.key}},
        "history": [],
    },
    "segments": lambda unit: {"path": "", "digest": unit.key, "content": unit.key, "blocks": 1},
    "comoments": lambda unit: {"digest": unit.key},
    "permuted": lambda unit: {"digest": unit.key},
    "profiles": lambda unit: {"digest": unit.key},
    "matches": lambda unit: {"digest": unit.key},
    "measures": lambda _: MEASURED,
    "exemplars": lambda unit: {"digest": unit.key},
}


def fill(prepared: Prepared) -> list[tuple[str, ...]]:
    """Plan stage by stage, and keep a made-up record of every unit, job by job; return what it took."""
    records = Records(prepared.root)
    rows = []
    before = time.perf_counter()

    def complete(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        nonlocal before
        planned = time.perf_counter()
        missing = {unit.key: unit for unit in units.values()}
        keyed = time.perf_counter()
        cut = jobs(missing.values())
        gathered = time.perf_counter()
        found: dict[str, Found] = {}
        for job in cut:
            found |= records.keep(stage.name, {unit.key: RECORDS[stage.name](unit) for unit in job.units})
        spent = [planned - before, keyed - planned, gathered - keyed]
        rows.append((stage.name, f"{len(missing):,}", str(len(cut)), *map(show_seconds, spent)))
        before = time.perf_counter()
        return {
            name: Done(unit, found[unit.key].record, stage.artefact(unit.key, found[unit.key]))
            for name, unit in units.items()
        }

    plan.walk(prepared.wanted, complete)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two networks, to see that it works")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanmatch-") as root:
        study = Study.model_validate({**(QUICK if arguments.quick else STUDY), "root": root})
        prepared = prepare(study)
        rows = fill(prepared)
        before = time.process_time(), time.perf_counter()
        found = status(Prepared(prepared.study, prepared.root, prepared.resolved))
        processor, wall = time.process_time() - before[0], time.perf_counter() - before[1]
    assert all(stage.done == stage.total for stage in found.stages), found.stages
    print(markdown(rows, ("stage", "units", "jobs", "plan", "keys", "jobs are cut")))
    print(f"\n`status`: {show_seconds(wall)}, {show_seconds(processor)} of the processor.")
    print(f"{os.cpu_count()} cores; load at the end {os.getloadavg()[1]:.1f}.")


if __name__ == "__main__":
    main()
