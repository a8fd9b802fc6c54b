"""The program `spanmatch` of a clone, in folders with modules that are called as the pipeline's packages."""

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import COMMAND, TINY, Environment, spanmatch, write_study
from environments import ran

PIPELINE = ("flows", "storage", "tasks")
PROGRAMS = [COMMAND, [sys.executable, "-m", "spanmatch"]]


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder with modules of somebody's own, which must not be imported."""
    for name in PIPELINE:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('theirs was imported')")
    return tmp_path


@pytest.mark.parametrize("program", PROGRAMS, ids=["spanmatch", "python -m spanmatch"])
def test_the_pipeline_is_found_beside_modules_of_its_names(program: list[str], beside: Path) -> None:
    study = write_study(beside, {**TINY, "root": str(beside / "root")})
    printed = ran(*program, "status", study, folder=beside, COLUMNS="200")
    assert "networks" in printed
    assert "theirs" not in printed


def test_a_study_runs_beside_modules_of_its_names(beside: Path, env: Environment) -> None:
    study = write_study(beside, {**TINY, "root": str(beside / "root")})
    spanmatch("run", study, env=env, folder=beside)
    assert (beside / "root" / "report.html").is_file()


@pytest.mark.parametrize("name", PIPELINE)
def test_a_module_that_python_finds_first_is_named(name: str, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / f"{name}.py"
    theirs.parent.mkdir()
    theirs.write_text("")
    printed = ran(*COMMAND, "status", "x.yaml", folder=tmp_path, expect=2, PYTHONPATH=str(theirs.parent))
    assert f"`{name}` must be the pipeline's own package" in printed
    assert f"got '{theirs}'" in printed
    assert printed.count("\n") == 1


def test_matching_files_loads_no_pipeline(beside: Path) -> None:
    np.save(beside / "x.npy", np.eye(8, 3))
    printed = ran(
        *COMMAND, "match", "x.npy", "x.npy", "--epsilon", "0.3", folder=beside, PYTHONPATH=str(beside)
    )
    assert "maximum match similarity 1" in printed


@pytest.mark.parametrize("program", PROGRAMS, ids=["spanmatch", "python -m spanmatch"])
def test_help_names_every_command(program: list[str], tmp_path: Path) -> None:
    printed = ran(*program, "--help", folder=tmp_path, COLUMNS="200")
    commands = ("init", "run", "serve", "status", "report", "view", "layers", "schema", "prune", "match")
    for name in (*commands, "--version"):
        assert name in printed
