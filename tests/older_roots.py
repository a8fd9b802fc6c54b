"""Roots of format 2, made by hand: a file for each record, Gram matrix, profile and match."""

import json
import shutil
from pathlib import Path
from typing import Any

from storage.records import Records
from storage.root import Root

DERIVED = {"grams": "{}.zarr", "profiles": "{}.zarr", "matches": "{}.json"}
"""What that version kept of the stages whose results are computed anew."""


def as_result(record: Any, name: str) -> str:
    """Return a record as a result of Prefect's, in JSON."""
    serializer = {
        "type": "json",
        "jsonlib": "json",
        "object_encoder": "prefect.serializers.prefect_json_object_encoder",
        "object_decoder": "prefect.serializers.prefect_json_object_decoder",
        "dumps_kwargs": {},
        "loads_kwargs": {},
    }
    metadata = {
        "storage_key": name,
        "expiration": None,
        "serializer": serializer,
        "prefect_version": "3.4.0",
        "storage_block_id": None,
    }
    return json.dumps({"metadata": metadata, "result": json.dumps(record)})


def make_older(path: Path) -> list[str]:
    """Turn a root into one of format 2; return what of it a version like this has no use for."""
    root = Root.at(path)
    kept = {stage: _records(root, stage) for stage in ("networks", "segments")}
    shutil.rmtree(path / "cache")
    for stage in ("comoments", "profiles", "matches"):
        shutil.rmtree(path / stage)
    (path / "measures.csv").unlink()
    for stage, records in kept.items():
        for key, record in records.items():
            name = f"cache/{stage}/{key}"
            root.write_text(name, as_result(record, name))
    (path / "spanmatch.json").write_text('{"format": 2}\n')
    study = json.loads((path / "study.json").read_text())
    del study["study"]["measures"]
    (path / "study.json").write_text(json.dumps(study))
    return [name for stage in DERIVED for name in _derived(root, stage)]


def _records(root: Root, stage: str) -> dict[str, Any]:
    records = Records(root)
    keys = {key for together in records.kept(stage).values() for key in together}
    return {key: found.record for key, found in records.find(stage, keys).items()}


def _derived(root: Root, stage: str) -> list[str]:
    """Write two results of a stage with their records; return the names of the files."""
    names = []
    for number in range(2):
        key = f"{number:x}" * 64
        path, record = f"{stage}/{DERIVED[stage].format(key)}", f"cache/{stage}/{key}"
        within = (
            ("/zarr.json", "/manifest.json", "/x/zarr.json", "/x/c/0") if path.endswith("zarr") else ("",)
        )
        for file in within:
            root.write_text(f"{path}{file}", "{}")
        root.write_text(record, as_result({"path": path, "digest": key}, record))
        names += [record, *(f"{path}{file}" for file in within)]
    return names
