"""The Prefect tasks: a job of any stage as a task run that a person can read. Workers never import it."""

from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.states import Completed

from storage.records import Found, Records
from storage.root import Root
from tasks.cluster import Cluster
from tasks.meter import Meter
from tasks.retries import RETRIES
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.work import Job, jobs, metered

# Prefect would keep one result for a task run, in storage that a server knows; records are kept by unit.
_NO_RESULT: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


def compute(
    stage: Stage, job: Job, root: Root, cluster: Cluster, meter: Meter | None = None
) -> dict[str, Found]:
    """Compute a job's units on the cluster; return their records by key, and tell `meter` what they took."""
    found, took = cluster.run(metered, root, stage.name, job)
    if meter is not None:
        meter.add(took)
    return found  # type: ignore[no-any-return]


def _task_of(stage: Stage) -> Task[..., dict[str, Found]]:
    @task(name=stage.verb, task_run_name=f"{stage.verb} {{job.label}}", **_NO_RESULT, **RETRIES)
    def run(job: Job, root: Root, cluster: Cluster, meter: Meter) -> dict[str, Found]:
        before = _recorded_before(stage, job, root)
        rest = jobs(unit for unit in job.units if unit.key not in before) if before else [job]
        return before | {
            key: found for job in rest for key, found in compute(stage, job, root, cluster, meter).items()
        }

    return run


def _recorded_before(stage: Stage, job: Job, root: Root) -> dict[str, Found]:
    """Return what this task has kept before it was tried again."""
    context = TaskRunContext.get()
    if context is None or context.task_run.run_count <= 1:
        return {}
    found = Records(root).find(stage.name, {unit.key for unit in job.units})
    return {unit.key: found[unit.key] for unit in job.units if stage.accepted(unit, found.get(unit.key))}


@task(name="reuse", task_run_name="{stage} · {count} reused", **_NO_RESULT)
def reuse(stage: str, count: int) -> State[None]:  # noqa: ARG001 - its name is all it is for
    """Show in the Prefect UI, as one run in the state Cached, how many of a stage needed no run."""
    return Completed(name="Cached", message=f"{count} found under the root: nothing to compute")


TASKS = {name: _task_of(stage) for name, stage in STAGES.items()}
