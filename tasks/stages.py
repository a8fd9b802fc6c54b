"""The Prefect tasks: one coarse job each, which keeps the records of its units under the study's root.

Apart because it is the only place where pieces of work meet Prefect; workers never import it. What a task
keeps, and returns, are JSON records of digests; arrays never pass here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from distributed import Future
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from spanmatch import GramMatrix
from storage.root import DamagedArtefactError, Root, Stage
from tasks import grams, matches, networks, profiles, segments
from tasks.cluster import Cluster
from tasks.records import Cache
from tasks.retries import RETRIES
from tasks.unit import Unit

# Prefect would keep one result a task, in a block of storage that a server knows: `Cache` keeps the records.
_KEEPING: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
_OPTIONS: dict[str, Any] = {**_KEEPING, **RETRIES}

Records = dict[str, Any]


@task(name="train", task_run_name="train {units[0].label}", **_OPTIONS)
def train(units: Sequence[networks.NetworkUnit], root: Root, cluster: Cluster) -> Records:
    """Train one network from one seed, or take over one that is trained; keep what earlier runs kept too."""
    (unit,) = units
    earlier = Cache(root).look_up(unit, insufficient=True)
    if earlier is not None:
        unit = replace(unit, keep=tuple(sorted({*unit.keep, *earlier["checkpoints"]})))
    return _kept(root, units, [cluster.run(networks.make_network, root, unit)])


@task(name="extract", task_run_name="extract {units[0].job_label}", **_OPTIONS)
def extract(units: Sequence[segments.SegmentUnit], root: Root, cluster: Cluster) -> Records:
    """Store the activations of one checkpoint's layers for one range of images."""
    return _kept(root, units, cluster.run(segments.extract_segments, root, units))


@task(name="reduce", task_run_name="reduce {units[0].label}", **_OPTIONS)
def reduce(units: Sequence[grams.GramUnit], root: Root, cluster: Cluster) -> Records:
    """Sum one layer of two networks to a Gram matrix, from the longest sum over its first segments on."""
    (unit,) = units
    done, total = _longest_prefix(unit, root, cluster)
    for x, y in list(zip(unit.x, unit.y, strict=True))[done:]:
        segment = _reduce_segment(unit.layer, x, y, root, cluster)
        total = segment if total is None else cluster.submit(grams.add_grams, total, segment, first=True)
    return _kept(root, units, [cluster.run(grams.publish_gram, root, unit, total, first=True)])


@task(name="profile", task_run_name="profile {units[0].label}", **_OPTIONS)
def profile(units: Sequence[profiles.ProfileUnit], root: Root, cluster: Cluster) -> Records:
    """Find every neuron's critical epsilon in one layer of two networks."""
    (unit,) = units
    return _kept(root, units, [cluster.run(profiles.peel, root, unit)])


@task(name="match", task_run_name="match {units[0].label}", **_OPTIONS)
def match(units: Sequence[matches.MatchUnit], root: Root, cluster: Cluster) -> Records:
    """Find the maximum match and the simple matches of one layer of two networks at one ε."""
    (unit,) = units
    return _kept(root, units, [cluster.run(matches.find_matches, root, unit)])


@task(name="reuse", task_run_name="{stage} · {count} reused", **_KEEPING)
def reuse(stage: Stage, count: int) -> State[None]:  # noqa: ARG001 - its name is all it is for
    """Show in the Prefect UI, as one run in the state Cached, how many jobs of a stage needed no run."""
    return Completed(name="Cached", message=f"{count} found under the root: nothing to compute")


TASKS: dict[Stage, Task[..., Records]] = {
    "networks": train,
    "segments": extract,
    "grams": reduce,
    "profiles": profile,
    "matches": match,
}


def _kept(root: Root, units: Sequence[Unit], records: Sequence[Any]) -> Records:
    """Keep the records of units as soon as they are there; return them by the units' keys."""
    cache = Cache(root)
    for unit, record in zip(units, records, strict=True):
        cache.keep(unit, record)
    return {unit.key: record for unit, record in zip(units, records, strict=True)}


def _longest_prefix(
    unit: grams.GramUnit, root: Root, cluster: Cluster
) -> tuple[int, Future[GramMatrix] | None]:
    """Return how many of the first segments are summed already, and their sum on a worker.

    A sum that is damaged is passed over, and left to the study that needs it for itself.
    """
    shorter = grams.prefixes(unit)
    records = Cache(root).look_up_all(shorter)
    for prefix in shorter:
        if (record := records[prefix.key]) is not None:
            total = cluster.submit(grams.read_gram, root, prefix.artefact(record["digest"]))
            if not isinstance(total.exception(), DamagedArtefactError):
                return len(prefix.x), total
    return 0, None


def _reduce_segment(
    layer: str, x: grams.SegmentLayer, y: grams.SegmentLayer, root: Root, cluster: Cluster
) -> Future[GramMatrix]:
    """Reduce one segment in pieces, and add them up in a tree that depends on their number alone."""
    partial = [
        cluster.submit(grams.reduce_blocks, root, layer, x.segment, y.segment, blocks)
        for blocks in grams.pieces(x.blocks)
    ]
    for i, j in grams.tree_pairs(len(partial)):
        partial[i] = cluster.submit(grams.add_grams, partial[i], partial[j], first=True)
    return partial[0]
