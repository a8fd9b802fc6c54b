"""One `spanmatch run` on the command line: checks first, then the flow with progress bars, then the summary.

Apart from the flow, which also runs where there is no terminal.
"""

import os
import threading
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console

# Before Prefect is imported, and only where the user has not chosen otherwise: its logs go to its API, not
# over the progress bars; a first run migrates a database before the temporary server answers.
for _name, _value in {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}.items():
    os.environ.setdefault(_name, _value)

from prefect.client.orchestration import get_client  # noqa: E402
from prefect.settings import (  # noqa: E402
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    get_current_settings,
    temporary_settings,
)

from flows import checks  # noqa: E402
from flows.screen import Bars, show_summary  # noqa: E402
from flows.status import status  # noqa: E402
from flows.study import Study  # noqa: E402
from storage.root import Root  # noqa: E402
from tasks.cluster import check_scheduler, started_ahead  # noqa: E402
from tasks.progress import listening  # noqa: E402


def run_session(study: Study, console: Console) -> None:
    """Run a study with progress on the console.

    Raises
    ------
    ValueError
        If the study asks for what there is not: before any work starts.
    """
    checks.check_names(study)
    if study.layers != ["default"]:
        checks.look_up(study, Root.at(study.root))
    if study.scheduler is not None:
        check_scheduler(study.scheduler)
    root = Root.prepare(study.root)
    api = _Api()
    console.print(f"[bold]{study.name}[/]: starting Prefect and PyTorch …", highlight=False)
    # all that can be done while the temporary server starts
    stages = status(study)
    from flows.run import run_study  # loads what draws the report: a second

    work = study.scheduler is None and any(stage.done < stage.total for stage in stages)
    with started_ahead(work):
        api.wait()
        with Bars(console) as bars, listening(bars), _no_heartbeat_for_a_temporary_server():
            results = run_study(study)
    show_summary(console, results, root)


def _no_heartbeat_for_a_temporary_server() -> AbstractContextManager[object]:
    """Nobody watches for a lost run on a server that ends with it; ending the heartbeat takes a second."""
    if get_current_settings().api.url is None:
        return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    return nullcontext()


class _Api:
    """Prefect's API; where none is configured, a temporary server that takes seconds to start."""

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._start, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until it answers.

        Raises
        ------
        ValueError
            If it does not.
        """
        self._thread.join()
        if self._error is not None:
            url = get_current_settings().api.url
            message = (
                f"`PREFECT_API_URL` must be the address of a Prefect server that answers, got {url!r} "
                f"({self._error}); start it, or unset the variable to use a temporary one"
            )
            raise ValueError(message) from self._error

    def _start(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                self._error = client.api_healthcheck()
        except Exception as error:  # whatever it is, the main thread says so
            self._error = error
