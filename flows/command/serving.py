"""`spanmatch serve`: a study's flow on a schedule, from this process, with no work pool to look after.

Each run is a process of its own, which Prefect's
runner starts; one goes on at a time.
"""

import asyncio
import logging
import os
import re
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from flows.run.prepared import prepare
from flows.study.allowed import allow
from flows.study.model import Study
from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import TAKEN_MODULES

if TYPE_CHECKING:
    from prefect.schedules import Schedule

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def serve_session(study: Study, console: Console, *, cron: str | None, every: str | None) -> None:
    """Serve a study until interrupted; without a schedule, its runs start on demand alone.

    Parameters
    ----------
    cron, every
        When runs start: a cron expression in this machine's time zone, or how often.

    Raises
    ------
    ValueError
        If the study asks for what there is not, or the schedule is none: before anything is served.
    """
    if cron is not None and every is not None:
        raise InputValueError(
            f"`--cron` and `--every` must not both be given, got {cron!r} and {every!r}; keep one"
        )
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    schedule = _schedule(cron, None if every is None else _duration(every))
    _require_no_namesake(Path.cwd())
    prepare(study)
    allow(study)
    from flows.command.server import PrefectServer

    server = PrefectServer()
    server.wait()
    with server.in_use():
        console.print(f"[bold]{study.name}[/]: {server}", highlight=False, soft_wrap=True)
        asyncio.run(_serve(study, schedule, console))


def _require_no_namesake(folder: Path) -> None:
    """See that the current folder has no module that runs would find in place of ours: they look there first.

    Prefect starts each with ``python -m``.
    """
    for name in TAKEN_MODULES:
        for place in (folder / f"{name}.py", folder / name / "__init__.py"):
            if place.is_file() and not _is_ours(name, place):
                raise InputValueError(
                    "the current folder must hold no module that is called as one that spanmatch installs "
                    f"({', '.join(TAKEN_MODULES)}), got {str(place)!r}; rename it, or serve from another "
                    "folder"
                )


def _is_ours(name: str, place: Path) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None and place.samefile(spec.origin)


async def _serve(study: Study, schedule: "Schedule | None", console: Console) -> None:
    from prefect.client.orchestration import get_client
    from prefect.runner import Runner
    from prefect.types.entrypoint import EntrypointType

    from flows.deployed import run_study

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


def _duration(every: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", every)
    if found is None:
        raise InputValueError(
            f"`--every` must be a whole number from 1 with its unit, s, m, h or d, got {every!r}; such as 12h"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _schedule(cron: str | None, every: timedelta | None) -> "Schedule | None":
    """Make Prefect's schedule; importing Prefect takes a second, so only where there is one."""
    if cron is not None:
        from prefect.client.schemas.schedules import CronSchedule
        from prefect.schedules import Cron
        from tzlocal import get_localzone_name

        try:
            CronSchedule(cron=cron)
        except ValueError:
            raise InputValueError(
                "`--cron` must be a cron expression (minute, hour, day of month, month, day of week), got "
                f"{cron!r}; such as '0 3 * * *', at three every night"
            ) from None
        return Cron(cron, timezone=get_localzone_name())
    if every is not None:
        from prefect.schedules import Interval

        return Interval(every)
    return None
