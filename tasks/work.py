"""Jobs: units grouped to seconds of work, computed by a worker and kept one by one."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from spanmatch.errors import SpanmatchError
from storage.packs import publish_pack
from storage.places import UnusableRootError
from storage.records import Found, Records, name_of
from storage.root import DamagedArtefactError, DamagedArtefactsError, Root
from tasks.garbage import others_at_rest
from tasks.meter import Meter, Stopwatch, peak_of_this_process
from tasks.progress import Progress
from tasks.stage import Form, Result, Stage
from tasks.stages import STAGES
from tasks.statistic import Reading
from tasks.unit import Unit

# A job costs some 0.1 s beside its work, most of it in Prefect; a stage never has more than so many, however
# much there is to do.
_LEAST_SECONDS = 2.0
_MOST_JOBS = 64
# What a worker has finished it keeps after so long, or so much: a kill loses no more.
_KEEP_SECONDS = 2.0
_KEEP_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Job:
    """Units of one stage that one worker computes, one group after the other."""

    groups: tuple[tuple[Unit, ...], ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """All its units."""
        return tuple(unit for group in self.groups for unit in group)

    @property
    def steps(self) -> int:
        """How many steps of progress it counts."""
        return sum(steps_of(group) for group in self.groups)

    @property
    def label(self) -> str:
        """What people call it: its first and its last group, and how many there are."""
        first, last = self.groups[0][0].group_label, self.groups[-1][-1].group_label
        return first if len(self.groups) == 1 else f"{first} … {last} ({len(self.groups)})"


def groups(units: Iterable[Unit]) -> list[tuple[Unit, ...]]:
    """Gather the units that are computed together, in their order.

    Units of one key have one result: the first of them is computed, for all.
    """
    different: dict[str, Unit] = {}
    for unit in units:
        different.setdefault(unit.key, unit)
    gathered: dict[str, list[Unit]] = defaultdict(list)
    for unit in different.values():
        gathered[unit.group].append(unit)
    return [tuple(together) for together in gathered.values()]


def jobs(units: Iterable[Unit]) -> list[Job]:
    """Cut units into jobs of about equal work, in their order.

    Laid end to end, the groups whose middles lie in one stretch of seconds are a job: so there are never more
    than `_MOST_JOBS`, and none is longer than a stretch and its longest group.
    """
    gathered = groups(units)
    seconds = [sum(unit.seconds for unit in group) for group in gathered]
    stretch = max(_LEAST_SECONDS, sum(seconds) / _MOST_JOBS)
    cut: dict[int, list[tuple[Unit, ...]]] = defaultdict(list)
    for group, takes, ends in zip(gathered, seconds, accumulate(seconds), strict=True):
        cut[min(int((ends - takes / 2) / stretch), _MOST_JOBS - 1)].append(group)
    return [Job(tuple(several)) for several in cut.values()]


def counted(units: Iterable[Unit]) -> int:
    """Return how many results units are, as the ledger counts them."""
    return len({unit.counted for unit in units})


def steps_of(group: Sequence[Unit]) -> int:
    """Return how many steps of progress a group counts."""
    return group[0].steps


def metered(root: Root, name: str, job: Job) -> tuple[dict[str, Found], Meter]:
    """Do `work`; return what it took, too."""
    meter = Meter()
    found = work(root, name, job, meter)
    meter.peak = peak_of_this_process()
    return found, meter


def work(root: Root, name: str, job: Job, meter: Meter | None = None) -> dict[str, Found]:
    """Compute a job's units on a worker, and keep them; return their records by key.

    What is damaged or cannot be computed keeps none of the others from being computed. What each group took
    is added to `meter`.

    Raises
    ------
    DamagedArtefactsError
        If something that units stand on is not what was written.
    UnusableRootError
        If nothing can be kept, at once.
    SpanmatchError
        If a unit cannot be computed.
    """
    stage, reading = STAGES[name], Reading(root)
    kept, progress, watch = _Keeper(root, stage), Progress(name), Stopwatch()
    meter = Meter() if meter is None else meter
    damages: list[DamagedArtefactError] = []
    refusals: list[SpanmatchError] = []
    try:
        with others_at_rest():
            for group in job.groups:
                try:
                    kept.add(stage.compute(root, group, reading))
                except DamagedArtefactError as damage:
                    damages.append(damage)
                except DamagedArtefactsError as several:
                    damages += several.damages
                except UnusableRootError:
                    raise  # there would be no room, or no answer, for the others either
                except SpanmatchError as refusal:
                    refusals.append(refusal)
                progress.add(group[0].group, steps_of(group))
                meter.note(group, watch.lap())
    finally:
        kept.keep()
        progress.send()
    if refusals:
        raise refusals[0]
    if damages:
        raise DamagedArtefactsError(damages)
    return kept.found


class _Keeper:
    """Keeps results together: what a pack holds is published first, then the records that vouch for it."""

    def __init__(self, root: Root, stage: Stage) -> None:
        self.found: dict[str, Found] = {}
        self._root = root
        self._stage = stage
        self._records = Records(root)
        self._waiting: list[Result] = []
        self._bytes = 0
        self._since = time.monotonic()

    def add(self, results: Sequence[Result]) -> None:
        """Take results, and keep them with those before when it is time."""
        self._waiting += results
        self._bytes += sum(array.nbytes for result in results for array in result.content.values())
        late = time.monotonic() - self._since > _KEEP_SECONDS
        if late or self._bytes > _KEEP_BYTES or self._stage.form is Form.FOLDER:
            self.keep()

    def keep(self) -> None:
        """Publish what waits."""
        records = {result.unit.key: result.record for result in self._waiting}
        if records:
            if self._stage.form is Form.PACK:
                content = {result.unit.key: result.content for result in self._waiting}
                publish_pack(self._root, self._stage.name, name_of(records), content)
            self.found |= self._records.keep(self._stage.name, records)
        self._waiting, self._bytes, self._since = [], 0, time.monotonic()
