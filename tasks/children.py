"""Settings of this process while Dask workers start or run: how they start, and Dask's log."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.internals import forked_workers, safe_path, workers_without_program

SILENT = logging.CRITICAL + 1
_PRELOADED = ("distributed.worker", "tasks.work")
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
    with _starting, workers_without_program():
        if sys.platform != "linux":
            yield
            return
        with safe_path(), forked_workers(_PRELOADED):
            yield


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
