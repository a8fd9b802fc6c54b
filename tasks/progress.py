"""Progress of long work: counted where it happens, on a Dask worker or here, and sent to listeners."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from distributed import get_worker

from storage.root import DamagedArtefactError, DamagedArtefactsError
from tasks.mendable import explained

_SEND_SECONDS = 0.2

_topic: ContextVar[str | None] = ContextVar("spanmatch_progress_topic", default=None)


class Listener(Protocol):
    """Whoever wants to know how far the run is."""

    def planned(self, stage: str, steps: int, units: int) -> None:
        """Take note that a stage has units to compute, of so many steps in all; may come again."""

    def advanced(self, stage: str, part: str, done: int) -> None:
        """Take note that so many steps of a part of a stage are done by now; may come again."""

    def finished(self, stage: str) -> None:
        """Take note that all of a stage is done."""

    def noticed(self, message: str) -> None:
        """Take note of something that a person should know."""


class _Nobody:
    def planned(self, stage: str, steps: int, units: int) -> None:
        pass

    def advanced(self, stage: str, part: str, done: int) -> None:
        pass

    def finished(self, stage: str) -> None:
        pass

    def noticed(self, message: str) -> None:
        pass


class Tally:
    """Counts the steps of a stage, each once: Dask may run a piece again, and Prefect a task."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self._done: dict[str, int] = {}

    def note(self, part: str, done: int) -> None:
        """Take note of how many steps of a part are done by now."""
        self._done[part] = max(done, self._done.get(part, 0))

    @property
    def steps(self) -> int:
        """How many steps are done, and never more than there are."""
        return min(self.total, sum(self._done.values()))


_listener: Listener = _Nobody()


def listener() -> Listener:
    """Return whoever listens in this process."""
    return _listener


@contextmanager
def listening(to: Listener) -> Iterator[None]:
    """Let `to` hear of the progress of every flow that runs in this process, within the block."""
    global _listener
    before, _listener = _listener, to
    try:
        yield
    finally:
        _listener = before


def advance(stage: str, part: str, done: int) -> None:
    """Tell how many steps of a part of a stage are done by now; callable from a piece on a Dask worker.

    A part has the same name, and counts from the same start, whenever it is computed.
    """
    _send(stage, {part: done})


class Progress:
    """Counts parts of a stage that are done soon after each other, and tells of them now and then."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._done: dict[str, int] = {}
        self._sent = time.monotonic()

    def add(self, part: str, done: int) -> None:
        """Note how many steps of a part are done by now."""
        self._done[part] = done
        if time.monotonic() - self._sent > _SEND_SECONDS:
            self.send()

    def send(self) -> None:
        """Tell what was not yet told."""
        _send(self._stage, self._done)
        self._done, self._sent = {}, time.monotonic()


def _send(stage: str, done: Mapping[str, int]) -> None:
    topic = _topic.get()
    if topic is not None and done:
        get_worker().log_event(topic, {"stage": stage, "done": dict(done)})


def call_with_topic(topic: str, function: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 - any piece
    """Call a piece on a Dask worker so that its `advance` reaches the listeners of a topic."""
    token = _topic.set(topic)
    try:
        return function(*args)
    except (DamagedArtefactError, DamagedArtefactsError, ConnectionError, TimeoutError) as error:
        raise _without_cause(error) from None
    except Exception as error:
        if (refusal := explained(error)) is None:
            raise
        raise _without_cause(refusal) from None
    finally:
        _topic.reset(token)


def _without_cause(error: Exception) -> Exception:
    """Take off what is behind an error: Dask sends that too, and where it is no pickle the type is lost."""
    error.__cause__ = error.__context__ = None
    return error
