"""SIGINT, blocked in the processes that a run starts.

A terminal sends it to the whole process group; only the run itself acts on it.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def children_uninterrupted() -> Iterator[None]:
    """Let processes and threads that are started in the block, and their children, not see SIGINT."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
