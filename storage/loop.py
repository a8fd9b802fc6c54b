"""An event loop of our own for Zarr, which reads and writes arrays in one further thread.

The loop that Zarr brings takes its number of threads from a setting of the whole process.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Found = TypeVar("Found")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def finished(work: Coroutine[Any, Any, Found]) -> Found:
    """Do asynchronous work, and wait for what it returns or raises.

    A block is one chunk, so that a second thread gains nothing; two that take turns wander over the cores and
    push aside the network that computes there. docs/benchmarks.md has the rates.
    """
    return asyncio.run_coroutine_threadsafe(work, _running()).result()


def _running() -> asyncio.AbstractEventLoop:
    """Return this process's loop; one that is forked has none of its parent's threads."""
    with _lock:
        if os.getpid() not in _loops:
            loop = asyncio.new_event_loop()
            loop.set_default_executor(ThreadPoolExecutor(1, "spanmatch-arrays"))
            threading.Thread(target=loop.run_forever, daemon=True).start()
            atexit.register(loop.call_soon_threadsafe, loop.stop)
            _loops[os.getpid()] = loop
        return _loops[os.getpid()]
