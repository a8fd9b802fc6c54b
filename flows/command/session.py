"""One `spanmatch run` on the command line: checks, then the flow with progress bars, then the summary.

What is slow to import is imported after the checks, while the server starts.
"""

import os

from rich.console import Console

import tasks
from flows import command
from flows.run.prepared import Prepared, check_quickly, is_finished, prepare
from flows.study.model import Study
from flows.study.resolve import is_plain

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
    check_quickly(study)
    prepared: Prepared | None = None if is_plain(study) else prepare(study)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    server = command.PrefectServer()
    console.print(f"[bold]{study.name}[/]: {server}", highlight=False, soft_wrap=True)
    prepared = prepared or prepare(study)
    with tasks.started_ahead(study.scheduler is None and not is_finished(prepared)):
        server.wait()
        with command.Bars(console, prepared.wanted) as bars, tasks.listening(bars), server.in_use():
            results = command.run_prepared(prepared)
    command.show_summary(console, results, prepared.root)
