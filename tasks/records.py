"""Cached records: what a unit came to, as JSON below the root, in the form in which Prefect keeps results.

Apart from the tasks, so that `status` and every stage look records up, and keep them, in one way.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prefect.filesystems import WritableFileSystem
from prefect.results import ResultStore
from prefect.serializers import JSONSerializer
from pydantic import TypeAdapter, ValidationError

from storage.root import Root, Stage
from tasks import grams, matches, networks, profiles, segments
from tasks.unit import Unit

_RECORDS: dict[Stage, TypeAdapter[Any]] = {
    "networks": TypeAdapter(networks.NetworkRecord),
    "segments": TypeAdapter(segments.SegmentRecord),
    "grams": TypeAdapter(grams.GramRecord),
    "profiles": TypeAdapter(profiles.ProfileRecord),
    "matches": TypeAdapter(matches.MatchRecord),
}

_SERIALIZER = JSONSerializer()
_PLAIN = _SERIALIZER.model_dump(mode="json")
_AT_ONCE = 16  # an object store answers each request late, and many at once


class _Files(WritableFileSystem):
    """A root as Prefect's result store sees it; never registered with a Prefect server."""

    root: Any  # a Root; pydantic need not look into it

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Read a record, unless reading it would have Prefect import what it names, or unpickle."""
        content: bytes = self.root.read(path)
        if json.loads(content)["metadata"]["serializer"] != _PLAIN or b"__class__" in content:
            raise ValueError(f"{path} is not plain JSON")
        return content

    def _resolve_path(self, _path: str) -> None:
        """Say that keys are no paths: Prefect would take them for files of the current folder."""

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> None:  # type: ignore[override]
        self.root.write_text(path, content.decode("utf-8"))


class Cache:
    """Cached records of a root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._store = ResultStore(
            result_storage=_Files(root=root), serializer=_SERIALIZER, cache_result_in_memory=False
        )

    def keep(self, unit: Unit, record: Any) -> None:  # noqa: ANN401 - the stage's record
        """Write the record of a unit whose artefact is published; a reader sees all of it or none."""
        self._store.write(record, key=self._root.record(unit.stage, unit.key))

    def look_up(self, unit: Unit, *, insufficient: bool = False) -> Any:  # noqa: ANN401 - the stage's record
        """Return the record of a unit, or None where there is none that can be used.

        One that the unit does not accept is returned only where `insufficient` ones are asked for.

        Raises
        ------
        UnusableRootError
            If the root does not answer, or the record is there and cannot be read.
        """
        try:
            found = self._store.read(self._root.record(unit.stage, unit.key)).result
            record = _RECORDS[unit.stage].validate_python(found, strict=True)
        except (
            ValueError,
            KeyError,
            TypeError,
            FileNotFoundError,
            ValidationError,
        ):  # none, cut off by a kill, or damaged since
            return None
        return record if insufficient or unit.accepts(record) else None

    def look_up_all(self, units: Iterable[Unit]) -> dict[str, Any]:
        """Return the records of units by their keys, None where `look_up` gives none.

        One listing of a stage's records comes first, so that what is not there costs no request of its own.
        """
        wanted = {unit.key: unit for unit in units}
        there = {stage: self._root.recorded(stage) for stage in {unit.stage for unit in wanted.values()}}
        records: dict[str, Any] = dict.fromkeys(wanted)
        present = [unit for key, unit in wanted.items() if key in there[unit.stage]]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            records.update(zip([unit.key for unit in present], pool.map(self.look_up, present), strict=True))
        return records
