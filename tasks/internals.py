"""Everything that relies on undocumented parts of Python, Dask and Prefect.

Each has a test in `tests/test_internals.py`, which fails where a new version has changed it.
"""

import multiprocessing.forkserver
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import resource_tracker, spawn, util
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import dask
from distributed import KilledWorker
from distributed.client import ClosedClientError as ClosedClientError  # what `Client.submit` raises
from distributed.utils import get_mp_context

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectFuture

WORKER_PROCESS = "Dask Worker process"  # what the names of workers' processes begin with

_P = ParamSpec("_P")
_R = TypeVar("_R")


@contextmanager
def forked_workers(modules: Sequence[str]) -> Iterator[None]:
    """Have Dask workers that start in the block forked from one process that has imported `modules`."""
    server: Any = multiprocessing.forkserver._forkserver
    before = server._preload_modules
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context().set_forkserver_preload([*modules])  # its first call would preload much more
        try:
            yield
        finally:
            server._preload_modules = before


@contextmanager
def workers_without_program() -> Iterator[None]:
    """Keep Dask workers that start in the block from importing the program of this process."""
    before = spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        found = before(name)
        kept = not name.startswith(WORKER_PROCESS)
        return {key: value for key, value in found.items() if kept or not key.startswith("init_main_")}

    spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        spawn.get_preparation_data = before


@contextmanager
def safe_path() -> Iterator[None]:
    """Start interpreters of `multiprocessing` with ``-P``: PYTHONSAFEPATH would reach all that they start."""
    flags: Any = util
    before = flags._args_from_interpreter_flags
    flags._args_from_interpreter_flags = lambda: [*before(), "-P"]
    try:
        yield
    finally:
        flags._args_from_interpreter_flags = before


def start_resource_tracker() -> None:
    """Start the process that `multiprocessing` needs beside its children; its start unblocks SIGINT."""
    resource_tracker.ensure_running()


def deaths(error: KilledWorker) -> tuple[int, str]:
    """Return how many workers died of a piece of work, and the address of the last."""
    return error.allowed_failures + 1, str(error.last_worker.address)


def waits_for_memory(worker: Mapping[str, Any]) -> bool:
    """Tell whether a worker, as `Client.scheduler_info` describes it, is paused with nothing under way."""
    return worker["status"] == "paused" and not worker["metrics"]["task_counts"].get("executing")


def known_state(future: "PrefectFuture[Any]") -> "State[Any] | None":
    """Return the state that a task of a thread pool has ended in, or None; `future.state` asks the server."""
    inner: Future[State[Any]] = future.wrapped_future  # type: ignore[attr-defined]
    if not inner.done() or inner.cancelled() or inner.exception() is not None:
        return None
    return inner.result()
