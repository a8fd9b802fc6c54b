"""What of this process is changed while Dask's workers start or run, and put back after it.

Apart from the cluster because it is about Python's own processes and logs, not about pieces of work.
"""

import logging
import multiprocessing.forkserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn, util
from typing import Any

import dask
from distributed.utils import get_mp_context

SILENT = logging.CRITICAL + 1
_WORKER = "Dask Worker process"  # how distributed calls the processes of workers
_starting = threading.Lock()


@contextmanager
def light_workers() -> Iterator[None]:
    """Keep Dask workers that are started in the block from importing what they do not need.

    Python's `multiprocessing` would import the program that starts them anew in each, for what it may define;
    no piece is defined there, and the program that runs a deployment's flow is Prefect, which takes a second.
    On Linux workers are forked from one process that has imported what all need, and nothing of torch: each
    would import it for itself, a second of a core's time. That process runs no threads, and is started with
    the workers' environment, which says how many threads a worker may use. Elsewhere system libraries need
    not bear a fork.
    """
    with _starting, _without_program():
        if sys.platform != "linux":
            yield
            return
        server: Any = multiprocessing.forkserver._forkserver
        before = server._preload_modules
        with _safe_path(), dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
            get_mp_context().set_forkserver_preload(["distributed.worker", "tasks.work"])
            try:
                yield
            finally:
                server._preload_modules = before


@contextmanager
def _without_program() -> Iterator[None]:
    before = spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        found = before(name)
        kept = not name.startswith(_WORKER)
        return {key: value for key, value in found.items() if kept or not key.startswith("init_main_")}

    spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        spawn.get_preparation_data = before


@contextmanager
def _safe_path() -> Iterator[None]:
    """Start interpreters with `-P`; with PYTHONSAFEPATH all that a worker starts would have it too."""
    flags: Any = util
    before = flags._args_from_interpreter_flags
    flags._args_from_interpreter_flags = lambda: [*before(), "-P"]
    try:
        yield
    finally:
        flags._args_from_interpreter_flags = before


class _Silence:
    """Dask's log while clusters are open: how many, and the level from before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._level = logging.NOTSET

    def begin(self) -> None:
        with self._lock:
            if not self._blocks:
                self._level = _dask.level
                _dask.setLevel(SILENT)
            self._blocks += 1

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                _dask.setLevel(self._level)


_dask = logging.getLogger("distributed")
_silence = _Silence()


@contextmanager
def silent_dask() -> Iterator[None]:
    """Keep Dask's log from telling of a scheduler of this process: when a run is stopped, it is no news."""
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()
