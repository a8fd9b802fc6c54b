"""The served flow as Prefect sees it: its schedule, its deployment, and the runner that starts its runs."""

import logging
from datetime import timedelta
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from rich.console import Console
from tzlocal import get_localzone_name

from flows.deployed import run_study
from flows.study.model import Study
from spanmatch.errors import InputValueError


def flow_schedule(cron: str | None, every: timedelta | None) -> Schedule | None:
    """Return Prefect's schedule of a cron expression in this machine's time zone, or of an interval.

    Raises
    ------
    ValueError
        If the expression is none.
    """
    if cron is not None:
        try:
            CronSchedule(cron=cron)
        except ValueError:
            raise InputValueError(
                "`--cron` must be a cron expression (minute, hour, day of month, month, day of week), got "
                f"{cron!r}; such as '0 3 * * *', at three every night"
            ) from None
        return Cron(cron, timezone=get_localzone_name())
    return None if every is None else Interval(every)


async def serve_flow(study: Study, schedule: Schedule | None, console: Console) -> None:
    """Deploy a study's flow, and start its runs for as long as this process runs."""
    runner = Runner(name=study.name, limit=1)
    deployment = await runner.aadd_flow(
        run_study,
        name=f"{study.name}-served",
        schedule=schedule,
        parameters={"study": study.model_dump(mode="json")},
        tags=["spanmatch", study.name],
        description=f"Served by `spanmatch serve`, from {Path.cwd()}.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    if schedule is None:  # one of an earlier command would stay
        async with get_client() as client:
            for old in await client.read_deployment_schedules(deployment):
                await client.delete_deployment_schedule(deployment, old.id)
    name = f"{run_study.name}/{study.name}-served"
    console.print(
        f"serving {name}; Ctrl-C ends it. A run at once: prefect deployment run {name}, or from the UI",
        highlight=False,
        soft_wrap=True,
    )
    # it tells of every run that waits, at each poll
    logging.getLogger("prefect.runner").setLevel(logging.WARNING)
    await runner.start()
