"""Which tasks are retried: those that may succeed later.

A job whose worker dies needs no retry: Dask runs it on another worker.
"""

from typing import Any

from prefect import Task, get_run_logger
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from storage.places import UnreachableRootError
from tasks.cluster import SilentSchedulerError

# Lost connections, a scheduler that restarts, an object store that is busy or away.
_TRANSIENT = (ConnectionError, TimeoutError, SilentSchedulerError, UnreachableRootError)


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether what a task failed of may be over later; say so in the log if it may."""
    error = state.data
    transient = isinstance(error, _TRANSIENT)
    if transient:
        get_run_logger().warning("%s; trying again", error)
    return transient


# After 2, 4, 8, 16 and 32 seconds: a minute in all, which a restart takes.
RETRIES: dict[str, Any] = {
    "retries": 5,
    "retry_delay_seconds": exponential_backoff(2),
    "retry_condition_fn": is_transient,
}
