"""The JSON schema of study files says of each what the model says, as far as a schema can tell."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, TINY
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from typer.testing import CliRunner

from flows.command import cli
from flows.study.model import Study, validated
from flows.study.schema import SCHEMA_FILE, editor_comment, schema_text, study_schema
from flows.study.sentences import key_names
from flows.study.values import FolderPreprocessing, Permutations, Training
from spanmatch.errors import InputValueError

STUDIES = sorted((REPOSITORY / "studies").glob("*.yaml"))
WHOLE = TINY | {"dataset": "digits", "architecture": "vgg9-digits", "root": "runs/tiny"}
INNER: dict[str, type[BaseModel]] = {
    "training": Training,
    "null": Permutations,
    "preprocessing": FolderPreprocessing,
}


def objections(study: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(study_schema()).iter_errors(study)]


def refused_by_both(study: dict[str, Any]) -> bool:
    with pytest.raises(InputValueError):
        validated(study, source="a test")
    return bool(objections(study))


def accepted_by_both(study: dict[str, Any]) -> bool:
    validated(study, source="a test")
    return objections(study) == []


def test_the_file_in_the_repository_and_the_command_are_what_the_code_generates() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()
    assert CliRunner().invoke(cli.app, ["schema"]).output == schema_text()
    Draft202012Validator.check_schema(study_schema())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_of_the_repository_answers_to_the_schema_that_it_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == editor_comment(path) == "# yaml-language-server: $schema=study.schema.json"
    assert accepted_by_both(yaml.safe_load(text))


def test_studies_of_the_documentation_answer_to_it() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "docs").glob("*.md")]
    blocks = [block for text in texts for block in re.findall(r"```yaml\n(name: .*?)```", text, re.DOTALL)]
    assert blocks
    assert all(accepted_by_both(yaml.safe_load(block)) for block in blocks)


def test_a_file_elsewhere_names_the_schema_of_the_clone(tmp_path: Path) -> None:
    assert editor_comment(tmp_path / "mine.yaml") == f"# yaml-language-server: $schema={SCHEMA_FILE}"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers": "block1.*"},
        {"layers": {"name": "block1.*", "neurons": "last"}},
        {"layers": ["default", {"name": "block1.*", "neurons": 1}]},
        {"measures": "all"},
        {"measures": ["default", "svcca"]},
        {"centre": "mean"},
        {"compare": "checkpoints"},
        {"compare": ["seed0-final ~ seed1-epoch2"], "checkpoints": ["final", "epoch2"]},
        {"dataset": "folder:~/my images", "preprocessing": {"mean": [0.5], "deviation": [0.5]}},
        {"dataset": "text:books", "architecture": "package.module:factory"},
        {"dataset": "package.module:factory"},
        {"images": "all", "folds": None, "null": {}, "positions": "mean"},
        {"segment_images": 3, "training": {"samples": 100, "optimiser": "adamw"}},
        {"pairs": "grid"},
        {"pairs": [["block1.*", "layer1.*"]]},
        {"seeds": [], "weights": {"a": "a.pt", "b": "b.pt"}, "held_out": "all"},
        {"others": {"wide": "wide.yaml"}, "compare": ["networks", "others"]},
    ],
    ids=str,
)
def test_what_the_model_takes_the_schema_takes(changes: dict[str, Any]) -> None:
    assert accepted_by_both(WHOLE | changes)


def test_samples_may_stand_for_images_but_one_of_them_must_be_there() -> None:
    without = {key: value for key, value in WHOLE.items() if key not in ("images", "segment_images")}
    assert accepted_by_both(without | {"samples": 90, "segment_samples": 45})
    assert refused_by_both(without)
    assert refused_by_both(WHOLE | {"samples": 90})
    assert refused_by_both(WHOLE | {"segment_samples": 45})


@pytest.mark.parametrize(
    "changes",
    [
        {"imagez": 3},
        {"name": "My Study"},
        {"architecture": "vgg99"},
        {"dataset": "folder:"},
        {"seeds": []},
        {"seeds": [0, 0]},
        {"seeds": [0, -1]},
        {"seeds": [0, 2**63]},
        {"weights": {"A b": "a.pt"}},
        {"epsilons": []},
        {"epsilons": [1.0]},
        {"epsilons": [True]},
        {"images": 0},
        {"images": "some"},
        {"positions": "some"},
        {"checkpoints": ["last"]},
        {"checkpoints": ["final", "final"]},
        {"compare": ["everything"]},
        {"centre": ["median"]},
        {"measures": ["maximum-mach"]},
        {"measures": ["svcca", "svcca"]},
        {"layers": [{"name": "block1", "neuron": "last"}]},
        {"pairs": [["block1"]]},
        {"pairs": "all"},
        {"width": 0},
        {"activations": "store"},
        {"training": {"epoch": 2}},
        {"training": {"epochs": 0}},
        {"training": {"learning_rate": 0}},
        {"training": {"momentum": 1}},
        {"training": {"weight_decay": -1}},
        {"training": {"images": 10, "samples": 10}},
        {"null": {"level": 1}},
        {"dataset": "folder:x", "preprocessing": {"mean": [0.5], "deviation": [0]}},
    ],
    ids=str,
)
def test_what_the_schema_can_tell_it_refuses_as_the_model_does(changes: dict[str, Any]) -> None:
    known_later = {"architecture", "dataset"} & changes.keys() and "preprocessing" not in changes
    assert bool(objections(WHOLE | changes)) if known_later else refused_by_both(WHOLE | changes)


@pytest.mark.parametrize("key", Study.model_fields)
def test_a_value_of_no_kind_is_refused_whatever_the_key(key: str) -> None:
    assert refused_by_both(WHOLE | {key: [[3.5]]})


@pytest.mark.parametrize(("key", "model"), INNER.items(), ids=INNER)
def test_and_so_within(key: str, model: type[BaseModel]) -> None:
    sound = {"mean": [0.5], "deviation": [0.5]} if model is FolderPreprocessing else {}
    whole = WHOLE | {"dataset": "folder:x", key: sound}
    assert accepted_by_both(whole)
    assert all(refused_by_both(whole | {key: sound | {inner: [[3.5]]}}) for inner in model.model_fields)


@pytest.mark.parametrize("model", [Study, *INNER.values()])
def test_every_key_by_every_name_is_explained(model: type[BaseModel]) -> None:
    schema = study_schema()
    known = (schema if model is Study else schema["$defs"][model.__name__])["properties"]
    assert known.keys() == key_names(model).keys()
    assert all(len(key["description"]) > 8 and key.get("title", "x") for key in known.values())
