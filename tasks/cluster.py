"""The run's Dask cluster: an outside scheduler, or processes of this machine, started when first needed.

Apart because it is the one place that knows how pieces reach their workers.
"""

import logging
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

from distributed import Client, Future, LocalCluster

from tasks.progress import call_with_topic, listener

_CONNECT_SECONDS = 10


class Cluster:
    """Runs pieces on Dask workers.

    Parameters
    ----------
    scheduler
        Address of a running scheduler. With none, a cluster of processes is started on this machine, one
        to a core with one thread each, when the first piece is submitted, and closed with this object.
    """

    def __init__(self, scheduler: str | None = None) -> None:
        self._scheduler = scheduler
        self._client: Client | None = None
        self._local: LocalCluster | None = None
        self._lock = threading.Lock()
        self._topic = f"spanmatch-progress-{uuid.uuid4().hex}"

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            if self._local is not None:
                self._local.close()

    @property
    def client(self) -> Client:
        """The client of the run's scheduler.

        Raises
        ------
        ValueError
            If the scheduler cannot be reached.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connect()
                self._client.subscribe_topic(self._topic, _pass_on)
            return self._client

    def submit(self, piece: Callable[..., Any], *args: Any) -> Future:  # noqa: ANN401 - what pieces take
        """Run ``piece(*args)`` on a worker. Pieces are idempotent: Dask may run one again."""
        return self.client.submit(call_with_topic, self._topic, piece, *args, pure=False)

    def run(self, piece: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 - what the piece returns
        """Run ``piece(*args)`` on a worker and wait for what it returns or raises."""
        return self.submit(piece, *args).result()

    def _connect(self) -> Client:
        if self._scheduler is None:
            self._local = LocalCluster(
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            return Client(self._local, set_as_default=False)
        try:
            return Client(self._scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            message = (
                f"`scheduler` must be the address of a Dask scheduler that answers within {_CONNECT_SECONDS} s, "
                f"got {self._scheduler!r} ({error}); start one, or leave `scheduler` out to use this machine"
            )
            raise ValueError(message) from None


def _pass_on(event: tuple[float, dict[str, Any]]) -> None:
    _, message = event
    listener().advanced(message["stage"], message["steps"])
