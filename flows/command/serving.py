"""`spanmatch serve`: a study's flow on a schedule, run by this process without a work pool.

Each run is a process of its own, which Prefect's runner starts; one runs at a time.
"""

import asyncio
import os
import re
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from flows import command
from flows.run.prepared import prepare
from flows.study.allowed import allow
from flows.study.model import Study
from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import TAKEN_MODULES

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def serve_session(study: Study, console: Console, *, cron: str | None, every: str | None) -> None:
    """Serve a study until interrupted; without a schedule, its runs start on demand alone.

    Parameters
    ----------
    study
        What every run compares.
    console
        Where the server's address and the deployment's name are shown.
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
    interval = None if every is None else _duration(every)
    _require_no_namesake(Path.cwd())
    schedule = command.flow_schedule(cron, interval)
    prepare(study)
    allow(study)
    server = command.PrefectServer()
    server.wait()
    with server.in_use():
        console.print(f"[bold]{study.name}[/]: {server}", highlight=False, soft_wrap=True)
        asyncio.run(command.serve_flow(study, schedule, console))


def _require_no_namesake(folder: Path) -> None:
    """See that the current folder has no module that runs would find in place of ours: they look there first.

    Prefect starts each with ``python -m``.
    """
    for name in TAKEN_MODULES:
        for place in (folder / f"{name}.py", folder / name / "__init__.py"):
            if place.is_file() and not _is_ours(name, place):
                raise InputValueError(
                    "the current folder must hold no module that is called as one of spanmatch's "
                    f"({', '.join(TAKEN_MODULES)}), got {str(place)!r}; rename it, or serve from another "
                    "folder"
                )


def _is_ours(name: str, place: Path) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None and place.samefile(spec.origin)


def _duration(every: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", every)
    if found is None:
        raise InputValueError(
            f"`--every` must be a whole number from 1 with its unit, s, m, h or d, got {every!r}; such as 12h"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
