"""Whether what a run takes fits on the disk and into workers' memory, before any of it is done."""

from itertools import chain

import numpy as np

from flows.run.foresee import foresee
from flows.run.prepared import Prepared
from flows.run.preview import Preview, preview, with_paces
from flows.run.rates import read_rates
from spanmatch.errors import SpanmatchError
from tasks.cluster import Workers, workers_of
from tasks.foreseeing import moments_bytes, statistic_bytes
from tasks.profiles import gram_memory
from tasks.wanted import Wanted

_MEMORY_SHARE = 0.95  # of a worker's, from which on Dask ends it
_SMALL_BYTES = 2**31  # of a worker: its libraries, and what stages hold in memory at most
_GIGABYTE = 1e9


class NoRoomError(SpanmatchError):
    """What a run takes does not fit on the disk, or into a worker's memory."""


def require_room(prepared: Prepared) -> None:
    """See that a run fits; what obviously does costs no time.

    Raises
    ------
    NoRoomError
        If not.
    """
    free = prepared.root.place.free()
    workers = workers_of(prepared.study.scheduler)
    disk, memory = _at_most(prepared.wanted)
    if (free is None or disk < free) and memory < _MEMORY_SHARE * workers.memory:
        return
    stages = foresee(prepared)
    rates = with_paces(stages, read_rates(prepared.root))
    require_fits(prepared, preview(prepared, stages, rates, workers.at_once), workers)


def require_fits(prepared: Prepared, foreseen: Preview, workers: Workers) -> None:
    """See that what a run is foreseen to take is there.

    Raises
    ------
    NoRoomError
        If not.
    """
    free = prepared.root.place.free()
    if free is not None and foreseen.written > free:
        largest = max(foreseen.stages, key=lambda stage: stage.written)
        raise NoRoomError(
            f"`root` must have room for {_shown(foreseen.written)} ({_shown(largest.written)} of them "
            f"{largest.stage}), but {_shown(free)} are free at {prepared.root.where()!r}; set `activations: "
            "stream`, `dtype: float16` or `positions: mean`, take fewer images, layers or networks, or "
            "choose another `root`"
        )
    if foreseen.memory > _MEMORY_SHARE * workers.memory:
        largest = max(foreseen.stages, key=lambda stage: stage.memory)
        raise NoRoomError(
            f"a worker must have memory for the stage {largest.stage}, {_shown(largest.memory)}, but of "
            f"{_shown(workers.memory)} it may take {_MEMORY_SHARE:.0%}; leave the widest layers out, take "
            "fewer `folds` or a smaller `segment_images`, or give `scheduler` one whose workers have more"
        )


def _at_most(wanted: Wanted) -> tuple[int, int]:
    """Return bytes of the disk and of a worker that a run surely does not exceed."""
    images, itemsize = wanted.segments[-1][1], np.dtype(wanted.dtype).itemsize
    layers = list(chain.from_iterable(wanted.sides.values()))
    kept = sum(images * layer.positions * layer.neurons * itemsize for layer in layers)
    sizes = [wanted.sizes_of(pair) for pair in wanted.pairs]
    sums = sum(statistic_bytes(*both, wanted.folds) * len(wanted.segments) for both in sizes)
    sums += sum(moments_bytes(*both, 1) * wanted.permutations for both in sizes)
    widest = max(map(sum, sizes), default=0)
    of_widest = max((statistic_bytes(*both, wanted.folds) for both in sizes), default=0)
    disk = 2 * ((0 if wanted.streams else kept) + sums) + int(_GIGABYTE)
    return disk, _SMALL_BYTES + 2 * of_widest + gram_memory(widest)


def _shown(size: int) -> str:
    return f"{size / _GIGABYTE:,.1f} GB"
