"""Records of finished units: JSON files under ``cache/<stage>``, each with all that were kept together."""

import json
import re
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from storage.digests import json_digest
from storage.root import Root

_AT_ONCE = 16  # an object store answers each request late, and many at once
_SUFFIX = ".json"
_KEY = re.compile(r"[0-9a-f]{64}")


class Found(NamedTuple):
    """A record, and the name under which it was kept together with others.

    Attributes
    ----------
    record
        JSON, as it was kept.
    together
        Name of the set that it was kept with; an artefact of several units has the same.
    """

    record: Any
    together: str


def name_of(keys: Collection[str]) -> str:
    """Name a set of units that are kept together: the same units have the same name, whoever keeps them."""
    return json_digest(sorted(keys))


class Records:
    """The records under a root."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def keep(self, stage: str, records: Mapping[str, Any]) -> dict[str, Found]:
        """Write records of units whose artefacts are published, by key; a reader sees all of them or none."""
        together = name_of(records)
        self._write(stage, together, records)
        return {key: Found(record, together) for key, record in records.items()}

    def find(self, stage: str, keys: Collection[str]) -> dict[str, Found]:
        """Return the records of those units that have one that can be read, by key.

        Costs one listing, and a read for each file, of which there are about as many as there were jobs.

        Raises
        ------
        UnusableRootError
            If the root does not answer, or a record is there and cannot be read.
        """
        wanted = set(keys)
        if not wanted:
            return {}
        names = self._root.place.names(_folder(stage))
        together = sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        lone = sorted(wanted & names)  # of earlier versions, each in a file of its own
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = dict(zip(lone, pool.map(lambda key: self._read_lone(stage, key), lone), strict=True))
            records = {key: Found(record, key) for key, record in found.items() if record is not None}
            for name, several in zip(
                together, pool.map(lambda name: self._read(stage, name), together), strict=True
            ):
                records |= {key: Found(several[key], name) for key in wanted & several.keys()}
        return records

    def kept(self, stage: str) -> dict[str, set[str]]:
        """Return the keys of all records of a stage, by the name that they were kept under.

        Of what cannot be read, the name stands for the key.
        """
        names = self._root.place.names(_folder(stage))
        together = sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = pool.map(lambda name: self._read(stage, name), together)
            sets = {name: set(records) or {name} for name, records in zip(together, read, strict=True)}
        return sets | {name: {name} for name in names if _KEY.fullmatch(name)}

    def forget(self, stage: str, keys: Collection[str]) -> set[str]:
        """Remove the records of units; return the names under which there is none left."""
        gone: set[str] = set()
        for name, there in self.kept(stage).items():
            if not there & set(keys):
                continue
            rest = {key: record for key, record in self._read(stage, name).items() if key not in keys}
            if rest:
                self._write(stage, name, rest)
            else:
                self.drop(stage, name)
                gone.add(name)
        return gone

    def drop(self, stage: str, name: str) -> None:
        """Remove all records that were kept under a name."""
        self._root.place.remove(f"{_folder(stage)}/{name}{_SUFFIX}")
        self._root.place.remove(f"{_folder(stage)}/{name}")

    def _write(self, stage: str, name: str, records: Mapping[str, Any]) -> None:
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(record)}" for key, record in records.items())
        self._root.write_text(f"{_folder(stage)}/{name}{_SUFFIX}", "{\n" + lines + "\n}\n")

    def _read(self, stage: str, name: str) -> dict[str, Any]:
        """Read what was kept together; nothing where it was cut off by a kill, or damaged since."""
        try:
            found = json.loads(self._root.read(f"{_folder(stage)}/{name}{_SUFFIX}"))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _read_lone(self, stage: str, key: str) -> Any:  # noqa: ANN401 - any JSON value
        """Read a record as versions before kept it, as a result of Prefect; None where it cannot be used."""
        try:
            kept = json.loads(self._root.read(f"{_folder(stage)}/{key}"))
            return json.loads(kept["result"]) if kept["metadata"]["serializer"]["type"] == "json" else None
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return None


def _folder(stage: str) -> str:
    return f"cache/{stage}"
