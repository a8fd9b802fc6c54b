"""An interrupt typed at the terminal, kept from the processes that a run starts.

It reaches the whole process group, but only the run itself should act on it: it tells its server how it
ended, and closes its workers.
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
