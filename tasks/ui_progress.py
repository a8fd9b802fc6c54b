"""Progress in the Prefect UI: one progress artefact for each stage that takes long."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock
from time import monotonic
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture

from tasks.internals import known_state
from tasks.progress import Listener, Tally, listener, listening

# Work that is done sooner is not worth an artefact; one that is not is told of so often, and ever less.
_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0


class StepCounter:
    """Counts the steps of the stage at work, and passes everything on to whoever listened before."""

    def __init__(self, inner: Listener) -> None:
        self._inner = inner
        self._stage: str | None = None
        self._tally = Tally()

    def planned(self, stage: str, steps: int, units: int) -> None:
        """Start counting anew."""
        self._stage, self._tally = stage, Tally(steps)
        self._inner.planned(stage, steps, units)

    def advanced(self, stage: str, part: str, done: int) -> None:
        """Count steps; those of an earlier stage come late."""
        if stage == self._stage:
            self._tally.note(part, done)
        self._inner.advanced(stage, part, done)

    def finished(self, stage: str) -> None:
        """Pass it on."""
        self._inner.finished(stage)

    def noticed(self, message: str) -> None:
        """Pass it on."""
        self._inner.noticed(message)

    @property
    def percent(self) -> float:
        """How much of the stage is done."""
        return 100 * self._tally.steps / self._tally.total if self._tally.total else 0.0


@contextmanager
def counting() -> Iterator[StepCounter]:
    """Count what this process hears of progress, within the block."""
    counter = StepCounter(listener())
    with listening(counter):
        yield counter


def wait_with_progress(
    futures: Sequence[PrefectFuture[Any]], counter: StepCounter, study: str, stage: str
) -> None:
    """Wait for tasks, and show in the Prefect UI how far they are; call it from the flow."""
    shown: UUID | None = None
    pause, begun = _SECONDS, monotonic()
    waiting = _all_done(futures)
    while not waiting.wait(pause):
        if shown is None:
            key, description = f"{study}-{stage}", f"{stage} of {study}, of this run's steps"
            shown = cast("UUID", create_progress_artifact(counter.percent, key=key, description=description))
        else:
            update_progress_artifact(shown, counter.percent)
        pause = min(_LONGEST_PAUSE_SECONDS, max(_SECONDS, (monotonic() - begun) / 20))
        if pause == _LONGEST_PAUSE_SECONDS:
            get_run_logger().info("%s: %.0f %% done", stage, counter.percent)
    if shown is not None:
        update_progress_artifact(shown, 100.0)


def is_completed(future: PrefectFuture[Any]) -> bool:
    """Tell, without asking the server, whether a task of the thread pool has come to its end well."""
    state = known_state(future)
    return state is not None and state.is_completed()


def _all_done(futures: Sequence[PrefectFuture[Any]]) -> Event:
    """Return an event that is set once every task has ended."""
    done, lock, left = Event(), Lock(), len(futures)

    def count(_: PrefectFuture[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if not left:
                done.set()

    for future in futures:
        future.add_done_callback(count)
    return done
