"""One `spanmatch run` on the command line: checks first, then the flow with progress bars, then the summary.

Apart from the flow, which also runs where there is no terminal. What is slow to import comes after the
checks, and while the server starts.
"""

import os

from rich.console import Console

from flows.study.model import Study
from flows.study.resolve import check_names, is_plain, resolve
from storage.root import Root

# Before Prefect is imported, where the user has not chosen otherwise: its logs go to the server, not over the
# progress bars.
_QUIET = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def run_session(study: Study, console: Console) -> None:
    """Run a study with progress on the console.

    Raises
    ------
    ValueError
        If the study asks for what there is not, before any work starts; or if a network's activations are
        not finite.
    """
    root = check_beforehand(study)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    from flows.command.server import PrefectServer

    server = PrefectServer()
    console.print(f"[bold]{study.name}[/]: {server}", highlight=False, soft_wrap=True)
    from flows.command.screen import Bars, show_summary
    from flows.command.status import status
    from flows.deployed import run_study
    from tasks.cluster import started_ahead
    from tasks.internals import without_limit
    from tasks.progress import listening

    work = any(stage.done < stage.total for stage in status(study).stages)
    unlimited = without_limit(run_study)  # whoever waits at a terminal ends it as they like
    with started_ahead(work and study.scheduler is None):
        server.wait()
        with Bars(console, study) as bars, listening(bars), server.in_use():
            results = unlimited(study, with_additions=False)
    show_summary(console, results, root)


def check_beforehand(study: Study) -> Root:
    """Check what a run would, before Prefect is imported; return the study's root.

    Raises
    ------
    ValueError
        If the study asks for what there is not.
    """
    check_names(study)
    root = Root.at(study.root)
    root.check()
    if not is_plain(study):
        resolve(study, root)
    if study.scheduler is not None:
        from tasks.cluster import check_scheduler

        check_scheduler(study.scheduler)
    Root.prepare(study.root)
    return root
