"""The JSON schema of study files, by which editors complete, explain and check them.

It says what the model says, and how a file may be written beside it: one value where there may be several,
the other names of keys. What depends on data, on networks or on several keys, reading and running tell.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from flows.study.model import COMPARED, Study
from flows.study.sentences import key_names
from flows.study.values import Training
from spanmatch.clone import ROOT
from spanmatch.measures import MEASURES
from spanmatch.networks.catalogue import ARCHITECTURE_NAMES, DATASET_NAMES, FOLDER_PREFIX, TEXT_PREFIX
from spanmatch.networks.recipe import CHECKPOINTS

Schema = dict[str, Any]

SCHEMA_FILE = ROOT / "studies" / "study.schema.json"
"""Where a clone keeps it."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FACTORY = r"^[^\s:/]+:[^\s:/]+$"
_FOLDER_OR_TEXT = f"^({FOLDER_PREFIX}|{TEXT_PREFIX})."
_NO_FOLDER_OR_TEXT = f"^(?!{FOLDER_PREFIX}|{TEXT_PREFIX})"
_PAIR = r"^\s*\S+\s*~\s*\S+\s*$"

_TEXTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "dataset": (DATASET_NAMES, (_FOLDER_OR_TEXT, _NO_FOLDER_OR_TEXT + _FACTORY.removeprefix("^"))),
    "architecture": (ARCHITECTURE_NAMES, (_FACTORY,)),
}
"""Of keys that are a text: the names that are known, for completion, and patterns of all others."""

_LISTED: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "checkpoints": (CHECKPOINTS, ("^epoch[1-9][0-9]*$",)),
    "compare": (COMPARED, (_PAIR,)),
    "measures": (("default", "all", *MEASURES), ()),
}
"""The same of keys that are a list of texts."""

_ONE_OR_SEVERAL = ("compare", "layers", "centre", "measures")
_ALL_DIFFERENT = ("seeds", "checkpoints", "compare", "layers", "centre", "measures")
_NAMED = ("weights", "others")


def study_schema() -> Schema:
    """Return the schema, a pure function of the model and of what the registries name."""
    schema = Study.model_json_schema()
    keys, training = schema["properties"], schema["$defs"]["Training"]
    for key, (names, patterns) in _TEXTS.items():
        keys[key] = _without_type(keys[key]) | _text(names, patterns)
    for key, (names, patterns) in _LISTED.items():
        keys[key]["items"] = _text(names, patterns)
    for key in _ALL_DIFFERENT:
        keys[key]["uniqueItems"] = True
    training["properties"]["augment"]["uniqueItems"] = True
    for key in _ONE_OR_SEVERAL:
        keys[key] = _one_or_several(keys[key])
    for key in _NAMED:
        keys[key]["additionalProperties"] = False
    rules = [*_with_other_names(schema, Study), _some_network()]
    training["allOf"] = _with_other_names(training, Training)
    return {"$schema": _DIALECT, **schema, "title": "A study of spanmatch", "allOf": rules}


def schema_text() -> str:
    """Return the schema as the file that a clone keeps."""
    return json.dumps(study_schema(), indent=2, ensure_ascii=False) + "\n"


def editor_comment(study: Path) -> str:
    """Return the line by which editors find the schema of a study's file: beside it, or in the clone."""
    beside = study.resolve().parent == SCHEMA_FILE.parent
    return f"# yaml-language-server: $schema={SCHEMA_FILE.name if beside else SCHEMA_FILE}"


def _text(names: Sequence[str], patterns: Sequence[str]) -> Schema:
    known: Schema = {"type": "string", "enum": list(names)}
    others = [{"type": "string", "pattern": pattern} for pattern in patterns]
    return {"anyOf": [known, *others]} if others else known


def _without_type(key: Schema) -> Schema:
    return {name: value for name, value in key.items() if name != "type"}


def _one_or_several(key: Schema) -> Schema:
    """Return a list's schema that one of its items answers to as well."""
    about: Schema = {name: key[name] for name in ("title", "description", "default") if name in key}
    several = {name: value for name, value in key.items() if name not in about}
    return {**about, "anyOf": [key["items"], several]}


def _with_other_names(schema: Schema, model: type[BaseModel]) -> list[Schema]:
    """Let keys answer to their other names; return the rules that one of them is given alone."""
    rules: list[Schema] = []
    others = {other: name for other, name in key_names(model).items() if other != name}
    for other, name in others.items():
        about = {"title": other.replace("_", " ").title(), "description": f"Another name of `{name}`."}
        schema["properties"][other] = schema["properties"][name] | about
        if name in schema.get("required", ()):
            schema["required"].remove(name)
            rules.append({"oneOf": [{"required": [name]}, {"required": [other]}]})
        else:
            rules.append({"not": {"required": [name, other]}})
    return rules


def _some_network() -> Schema:
    seeds = {"properties": {"seeds": {"minItems": 1}}, "required": ["seeds"]}
    weights = {"properties": {"weights": {"minProperties": 1}}, "required": ["weights"]}
    return {"anyOf": [seeds, weights]}
