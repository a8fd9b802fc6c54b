"""The stages of a study on a Dask cluster in this process, without Prefect's engine: for tests of one case.

Tasks, plan, records and files are the real ones; what a run adds is tested with the command line.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from conftest import DIGITS, TINY
from distributed import LocalCluster

from flows.run import plan
from flows.run.collect import collect
from flows.run.prepared import prepare
from flows.study.model import Study
from spanmatch.reporting import StudyResults
from storage.records import Records
from storage.root import Root
from tasks.cluster import Cluster
from tasks.running import compute
from tasks.stage import Stage
from tasks.unit import Done, Unit
from tasks.work import Job, counted, jobs

QUICK: dict[str, Any] = {
    "training": {**TINY["training"], "epochs": 1, "images": 128},
    "checkpoints": ["final"],
    "images": 60,
    "segment_images": 30,
    "epsilons": [0.3],
}


def quick(folder: Path, **changes: Any) -> Study:
    """The tiny study, a moment of training long, below a folder."""
    values = yaml.safe_load(DIGITS.read_text(encoding="utf-8")) | TINY | QUICK
    return Study.model_validate(values | {"root": str(folder / "root")} | changes)


def write(study: Study, path: Path) -> Path:
    path.write_text(yaml.safe_dump(study.model_dump(mode="json")), encoding="utf-8")
    return path


@contextmanager
def in_this_process(workers: int = 1) -> Iterator[Cluster]:
    """A Dask scheduler with workers of one thread, in threads of this process, and a client of it."""
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            host="127.0.0.1",
            protocol="tcp",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        ) as local,
        Cluster(local.scheduler_address) as cluster,
    ):
        yield cluster


def carried_out(
    study: Study,
    cluster: Cluster,
    before: Callable[[Root, Stage, list[Job]], None] = lambda *_: None,
) -> tuple[StudyResults, Counter[str]]:
    """Compute what a study lacks; return its results, and how many results of each stage were computed.

    Whatever is to happen `before` is given the root, a stage and the jobs that it lacks.
    """
    prepared, computed = prepare(study), Counter[str]()
    root = prepared.root

    def complete(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
        different = {unit.key: unit for unit in units.values()}
        found = Records(root).find(stage.name, different)
        missing = [unit for key, unit in different.items() if not stage.accepted(unit, found.get(key))]
        cut = jobs(missing)
        before(root, stage, cut)
        for job in cut:
            found |= compute(stage, job, root, cluster)
        computed[stage.name] = counted(missing)
        return {
            name: Done(unit, found[unit.key].record, stage.artefact(unit.key, found[unit.key]))
            for name, unit in units.items()
        }

    return collect(prepared, plan.walk(prepared.wanted, complete), {}), computed
