"""The run's Dask cluster: an outside scheduler, or processes of this machine, started when first needed."""

import asyncio
import importlib
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple

from dask.system import CPU_COUNT
from distributed import CancelledError, Client, Future, KilledWorker, LocalCluster, Security, rpc, wait
from distributed.system import MEMORY_LIMIT

from spanmatch.errors import SpanmatchError
from tasks.children import SILENT, light_workers, silent_dask
from tasks.internals import ClosedClientError, deaths, start_resource_tracker, waits_for_memory
from tasks.interrupts import children_uninterrupted
from tasks.progress import call_with_topic, listener

_CONNECT_SECONDS = 10
_LOOK_SECONDS, _LOOKS = 20.0, 3  # that find all workers waiting for memory, before it is said


class LostSchedulerError(SpanmatchError, ConnectionError):
    """A Dask scheduler that had answered does not any more."""


class SilentSchedulerError(SpanmatchError):
    """No Dask scheduler answers at an address; it may later."""


class Cluster:
    """Runs pieces on Dask workers.

    Parameters
    ----------
    scheduler
        Address of a running scheduler. With none, a cluster of processes is started on this machine, one
        to a core with one thread each, when the first piece is submitted, and closed with this object.
    ahead
        A cluster of this machine whose processes are used in place of new ones; it stays open.
    """

    def __init__(self, scheduler: str | None = None, ahead: "Cluster | None" = None) -> None:
        self._scheduler = scheduler
        self._ahead = ahead
        self._silence = ExitStack()
        self._client: Client | None = None
        self._local: LocalCluster | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._topic = f"spanmatch-progress-{uuid.uuid4().hex}"

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close it during the block, which needs it no more: workers take a while to end."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._close)
            yield

    def _close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()  # wakes whoever waits for a piece, with an error
            if self._local is not None:
                self._local.close()
            self._silence.close()
            self._client = self._local = None
            self._closed = True

    @property
    def client(self) -> Client:
        """The client of the run's scheduler.

        Raises
        ------
        ValueError
            If the scheduler cannot be reached.
        RuntimeError
            If the cluster is closed: a task outlives an interrupted run for a moment.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the run's cluster is closed")
            if self._client is None or self._client.status == "closed":  # it gives up a scheduler for lost
                self._client = self._connect()
                self._client.subscribe_topic(self._topic, _forward_progress)
            return self._client

    @property
    def address(self) -> str:
        """Where the scheduler listens, which is started for that if need be."""
        return str(self.client.scheduler_info(n_workers=0)["address"])

    def submit(self, piece: Callable[..., Any], *args: Any, first: bool = False) -> Future[Any]:  # noqa: ANN401 - what pieces take
        """Run ``piece(*args)`` on a worker. Pieces are idempotent: Dask may run one again.

        Those that are to come `first` pass by all others that wait: they free memory.

        Raises
        ------
        ConnectionError
            If the scheduler is lost meanwhile.
        """
        priority = int(first)
        try:
            return self.client.submit(
                call_with_topic, self._topic, piece, *args, pure=False, priority=priority
            )
        except ClosedClientError:
            raise self._lost() from None

    def run(self, piece: Callable[..., Any], *args: Any, first: bool = False) -> Any:  # noqa: ANN401 - what it returns
        """Run ``piece(*args)`` on a worker and wait for what it returns or raises.

        Raises
        ------
        ConnectionError
            If the scheduler is lost meanwhile.
        SpanmatchError
            If workers keep dying of it, or wait for memory that nothing will free.
        """
        future = self.submit(piece, *args, first=first)
        try:
            self._wait(future)
            return future.result()
        except CancelledError:
            raise self._lost() from None
        except OSError:
            if future.status == "error":  # the piece's own
                raise
            raise self._lost() from None  # what it returned was on its way here
        except KilledWorker as error:
            count, address = deaths(error)
            message = (
                f"a piece of work must fit into a worker's memory, but {count} workers died of one, the last "
                f"at {address}; give workers more memory, or lower `segment_images`"
            )
            raise SpanmatchError(message) from None

    def _wait(self, future: Future[Any]) -> None:
        """Wait until a piece is done, and look now and then whether it can be."""
        waiting = 0
        while waiting < _LOOKS:
            try:
                with future.client.as_current():
                    wait(future, timeout=_LOOK_SECONDS)
            except TimeoutError:
                workers = future.client.scheduler_info(n_workers=-1)["workers"].values()
                waiting = waiting + 1 if all_wait_for_memory(workers) else 0
            else:
                return
        message = (
            "workers must have memory for a piece of work, but all of them wait for some to become free, "
            "which they hold themselves; give workers more memory, or lower `segment_images`"
        )
        raise SpanmatchError(message)

    def _lost(self) -> Exception:
        if self._closed:
            return RuntimeError("the run's cluster is closed")
        where = "of this machine" if self._scheduler is None else f"at {self._scheduler}"
        return LostSchedulerError(
            f"the Dask scheduler must go on answering, but the one {where} was lost; see to it, and the same "
            "command goes on from here"
        )

    def _connect(self) -> Client:
        if self._scheduler is not None:
            check_scheduler(self._scheduler)
            return Client(self._scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        if self._ahead is not None:
            return Client(self._ahead.address, set_as_default=False)
        self._silence.enter_context(silent_dask())  # the scheduler runs in this process
        start_resource_tracker()  # before SIGINT is blocked, which it would undo
        with children_uninterrupted(), light_workers():
            self._local = LocalCluster(
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # with None it is 8787, which another may hold
                scheduler_kwargs={"dashboard": False},
                silence_logs=SILENT,
            )
        return Client(self._local, set_as_default=False)


def all_wait_for_memory(workers: Collection[Mapping[str, Any]]) -> bool:
    """Tell whether workers, as a scheduler describes them, are all paused and have nothing under way.

    Dask pauses a worker at 80 % of its memory until it falls; what libraries hold never does.
    """
    return bool(workers) and all(map(waits_for_memory, workers))


_ahead: ContextVar[Cluster | None] = ContextVar("spanmatch_cluster_ahead", default=None)


@contextmanager
def started_ahead(wanted: bool) -> Iterator[None]:
    """Start this machine's cluster in the background, for the flows that are called in the block."""
    if not wanted:
        yield
        return
    with Cluster() as cluster:
        threading.Thread(target=_warm_up, args=(cluster,), daemon=True).start()
        token = _ahead.set(cluster)
        try:
            yield
        finally:
            _ahead.reset(token)


@contextmanager
def cluster_at(scheduler: str | None) -> Iterator[Cluster]:
    """Open the cluster of a scheduler; with none, that of this machine, which may have been started ahead.

    It is closed at the end of the block, before Prefect waits for tasks: when a run is interrupted, those
    would wait for pieces whose workers are gone. Workers that were started ahead stay, for further flows.
    """
    with Cluster(scheduler, _ahead.get()) as cluster:
        yield cluster


def _warm_up(cluster: Cluster) -> None:
    with suppress(Exception):  # the run may be over, or interrupted, before the workers are up
        cluster.client.run(importlib.import_module, "tasks.work")


def check_scheduler(address: str) -> dict[str, Any]:
    """See that a Dask scheduler answers at an address; return its workers as it describes them.

    Raises
    ------
    SilentSchedulerError
        If not.
    """
    try:
        return asyncio.run(_identify(address))
    except (OSError, ValueError, TypeError, TimeoutError) as error:  # TypeError: TLS that is not set up
        reason = " ".join(str(error).split()) or f"no answer within {_CONNECT_SECONDS} s"
        message = (
            f"`scheduler` must be the address of a Dask scheduler that answers, got {address!r} ({reason}); "
            "start one, or leave `scheduler` out to use this machine"
        )
        raise SilentSchedulerError(message) from None


class Workers(NamedTuple):
    """Who computes: how many jobs at a time, and the least memory of a worker, in bytes."""

    at_once: int
    memory: int


def workers_of(scheduler: str | None) -> Workers:
    """Return the workers of a scheduler, or of this machine as they would be started.

    Raises
    ------
    SilentSchedulerError
        If the scheduler does not answer.
    """
    if scheduler is None:
        return Workers(CPU_COUNT, MEMORY_LIMIT // CPU_COUNT)
    found = check_scheduler(scheduler).values()
    threads = sum(worker["nthreads"] for worker in found)
    limits = [worker["memory_limit"] for worker in found if worker["memory_limit"]]
    return Workers(max(1, threads), min(limits, default=MEMORY_LIMIT))


async def _identify(address: str) -> dict[str, Any]:
    """Ask who answers; a client would take half a minute to give up, and complain when it is dropped."""
    tls = Security().get_connection_args("client")  # as Dask is configured, and its clients take it
    async with rpc(address, connection_args=tls) as peer:
        identity = await asyncio.wait_for(peer.identity(n_workers=-1), _CONNECT_SECONDS)
    if identity.get("type") != "Scheduler":
        raise ValueError(f"a {identity.get('type')} answers there")
    workers: dict[str, Any] = identity["workers"]
    return workers


def _forward_progress(event: tuple[float, dict[str, Any]]) -> None:
    _, message = event
    for part, done in message["done"].items():
        listener().advanced(message["stage"], part, done)
