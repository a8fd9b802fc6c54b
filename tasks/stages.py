"""The Prefect tasks: one coarse unit each, cached under the study's root by what it depends on.

Apart because it is the only place where pieces of work meet Prefect; workers never import it. The key of a
unit is the cache key of its task, and the cached result a JSON record of digests; arrays never pass here.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from prefect import Task, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore
from prefect.serializers import JSONSerializer
from pydantic import TypeAdapter, ValidationError

from storage.root import Root, Stage
from tasks import grams, matches, networks, profiles, segments
from tasks.cluster import Cluster
from tasks.unit import Unit

Record = TypeVar("Record")


def _cache_key(_context: TaskRunContext, parameters: Mapping[str, Any]) -> str:
    unit: Unit = parameters["unit"]
    return f"{unit.stage}/{unit.key}"


_OPTIONS: dict[str, Any] = {
    # READ_COMMITTED, the default: two runs may do a unit twice, which is harmless; a lock outlives a kill
    "cache_policy": CacheKeyFnPolicy(cache_key_fn=_cache_key),
    "persist_result": True,
    "result_serializer": "json",
    "cache_result_in_memory": False,
}


@task(name="train", task_run_name="train {unit.label}", **_OPTIONS)
def train(unit: networks.NetworkUnit, root: Root, cluster: Cluster) -> networks.NetworkRecord:
    """Train one network from one seed."""
    record: networks.NetworkRecord = cluster.run(networks.train_network, root, unit)
    return record


@task(name="extract", task_run_name="extract {unit.label}", **_OPTIONS)
def extract(unit: segments.SegmentUnit, root: Root, cluster: Cluster) -> segments.SegmentRecord:
    """Store the activations of one checkpoint for one range of images."""
    record: segments.SegmentRecord = cluster.run(segments.extract_segment, root, unit)
    return record


@task(name="reduce", task_run_name="reduce {unit.label}", **_OPTIONS)
def reduce(unit: grams.GramUnit, root: Root, cluster: Cluster) -> grams.GramRecord:
    """Sum one layer of two networks to a Gram matrix: a piece for each segment, and a tree of additions."""
    partial = [
        cluster.submit(grams.reduce_segment, root, unit.layer, x.segment, y.segment)
        for x, y in zip(unit.x, unit.y, strict=True)
    ]
    for i, j in grams.tree_pairs(len(partial)):
        partial[i] = cluster.submit(grams.add_grams, partial[i], partial[j])
    record: grams.GramRecord = cluster.run(grams.publish_gram, root, unit, partial[0])
    return record


@task(name="profile", task_run_name="profile {unit.label}", **_OPTIONS)
def profile(unit: profiles.ProfileUnit, root: Root, cluster: Cluster) -> profiles.ProfileRecord:
    """Find every neuron's critical epsilon in one layer of two networks."""
    record: profiles.ProfileRecord = cluster.run(profiles.peel, root, unit)
    return record


@task(name="match", task_run_name="match {unit.label}", **_OPTIONS)
def match(unit: matches.MatchUnit, root: Root, cluster: Cluster) -> matches.MatchRecord:
    """Find the maximum match and the simple matches of one layer of two networks at one ε."""
    record: matches.MatchRecord = cluster.run(matches.find_matches, root, unit)
    return record


TASKS: dict[Stage, Task[..., Any]] = {
    "networks": train,
    "segments": extract,
    "grams": reduce,
    "profiles": profile,
    "matches": match,
}

_RECORDS: dict[Stage, TypeAdapter[Any]] = {
    "networks": TypeAdapter(networks.NetworkRecord),
    "segments": TypeAdapter(segments.SegmentRecord),
    "grams": TypeAdapter(grams.GramRecord),
    "profiles": TypeAdapter(profiles.ProfileRecord),
    "matches": TypeAdapter(matches.MatchRecord),
}


class Cache:
    """Cached records of a root, as Prefect keeps them."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._store = ResultStore(
            result_storage=LocalFileSystem(basepath=str(root.cache)),
            serializer=JSONSerializer(),
            cache_result_in_memory=False,
        )

    def task(self, stage: Stage) -> Task[..., Any]:
        """Return a stage's task, its results kept under this root, to compute what `look_up` did not find.

        It computes in any case: Prefect would take a record that `look_up` refused.
        """
        return TASKS[stage].with_options(result_storage=self._root.cache, refresh_cache=True)

    def look_up(self, unit: Unit) -> Any:  # noqa: ANN401 - the stage's record
        """Return the record of a unit, or None where there is none that can be used."""
        if not self._root.record(unit.stage, unit.key).exists():
            return None
        try:
            found = self._store.read(f"{unit.stage}/{unit.key}").result
            return _RECORDS[unit.stage].validate_python(found, strict=True)
        except (ValueError, KeyError, OSError, ValidationError):  # cut off by a kill, or damaged since
            return None
