"""The library as people install it: its wheel, on NumPy and SciPy alone, and on the oldest of these."""

import re
import sys
import tomllib
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from environments import REPOSITORY, environment, pip, ran, wheel
from examples import SHARE
from test_architecture import imported
from test_readme import PRINTED, write_example

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def bare() -> Path:
    """The programs of an environment into which somebody has installed the library."""
    return environment("bare", wheel())


def test_the_wheel_holds_the_library_alone() -> None:
    with ZipFile(wheel()) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        stated = message_from_bytes(archive.read(metadata))
    files = {name for name in names if not name.startswith(metadata.removesuffix("METADATA"))}
    assert files == {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "spanmatch").rglob("*")
        if path.suffix in (".py", ".typed", ".js", ".css")
    }
    needed = [one for one in stated.get_all("Requires-Dist") if "extra ==" not in one]
    assert {re.split(r"\W", one)[0] for one in needed} == {"numpy", "scipy"}


def test_two_arrays_need_numpy_and_scipy_alone(bare: Path, tmp_path: Path) -> None:
    code = "from importlib.metadata import distributions; print(*{found.name for found in distributions()})"
    assert set(ran(bare / "python", "-c", code, folder=tmp_path).split()) == {"numpy", "scipy", "spanmatch"}
    write_example(tmp_path)
    assert ran(bare / "python", "example.py", folder=tmp_path).splitlines() == PRINTED


def test_importing_the_library_loads_nothing_else(bare: Path, tmp_path: Path) -> None:
    code = "import sys, spanmatch; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(ran(bare / "python", "-c", code, folder=tmp_path).split())
    assert loaded - sys.stdlib_module_names - {"__main__"} <= {"spanmatch", "sitecustomize"}


def test_the_version_stands_in_the_project_and_nowhere_else(bare: Path, tmp_path: Path) -> None:
    says = f"spanmatch {PROJECT['version']}\n"
    assert ran(bare / "spanmatch", "--version", folder=tmp_path) == says
    assert ran(bare / "python", "-m", "spanmatch", "--version", folder=tmp_path) == says


def test_names_of_the_pipeline_are_everybodys(bare: Path, tmp_path: Path) -> None:
    for name in ("flows", "storage", "tasks"):
        assert "No module named" in ran(bare / "python", "-c", f"import {name}", folder=tmp_path, expect=1)
        (tmp_path / f"{name}.py").write_text("def made(): ...")
        code = f"import {name}; from spanmatch.networks import catalogue; print({name}.__file__)"
        code += f"; catalogue.check_architecture('{name}:made')"
        printed = ran(bare / "python", "-c", code, folder=tmp_path)
        assert printed.strip() == str(tmp_path / f"{name}.py")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("run study.yaml", "clone the repository and type `make`, or use its image"),
        ("match x.npy y.npy --epsilon 0.3", "pip install 'spanmatch[command]'"),
        ("", "pip install 'spanmatch[command]'"),
    ],
)
def test_a_command_says_in_one_sentence_what_it_lacks(
    command: str, says: str, bare: Path, tmp_path: Path
) -> None:
    printed = ran(bare / "spanmatch", *command.split(), folder=tmp_path, expect=2)
    assert printed.startswith("spanmatch: ")
    assert says in printed
    assert printed.count("\n") == 1


def test_opening_a_root_says_in_one_sentence_that_it_needs_the_pipeline(bare: Path, tmp_path: Path) -> None:
    opening = "try: spanmatch.open_root('.')\nexcept spanmatch.SpanmatchError as error: print(error)"
    printed = ran(bare / "python", "-c", f"import spanmatch\n{opening}", folder=tmp_path)
    assert printed.startswith("`spanmatch.open_root` must be used where the pipeline is, got the library")
    assert printed.count("\n") == 1


ASKED = """
import spanmatch
try:
    from spanmatch.{package} import {name}
except spanmatch.SpanmatchError as error:
    assert isinstance(error, ImportError)
    print(error)
"""


@pytest.mark.parametrize(
    ("package", "name", "extra"), [("networks", "build", "torch"), ("reporting", "report_page", "report")]
)
def test_a_package_names_the_extra_that_it_lacks(
    package: str, name: str, extra: str, bare: Path, tmp_path: Path
) -> None:
    printed = ran(bare / "python", "-c", ASKED.format(package=package, name=name), folder=tmp_path)
    assert printed.startswith(f"`spanmatch.{package}.{name}` must have the packages of the extra")
    assert printed.endswith(f"; pip install 'spanmatch[{extra}]'\n")


def test_matching_files_needs_typer_and_rich_beside(bare: Path, tmp_path: Path) -> None:
    pip("install", "--target", tmp_path / "extra", *PROJECT["optional-dependencies"]["command"])
    np.save(tmp_path / "x.npy", np.eye(8, 3))
    command = ["match", "x.npy", "x.npy", "--epsilon", "0.3"]
    printed = ran(bare / "spanmatch", *command, folder=tmp_path, PYTHONPATH=str(tmp_path / "extra"))
    assert "maximum match similarity 1" in printed


def stands_on(path: Path) -> set[str]:
    """Return what a test imports, itself or by other modules of the tests."""
    found: set[str] = set()
    for name in imported(path):
        ours = path.with_name(f"{name.partition('.')[0]}.py")
        found |= stands_on(ours) if ours.is_file() else {name}
    return found


def library_tests() -> list[Path]:
    """Return the tests that need no more than the library, on the dependencies that it has alone."""
    known = {*sys.stdlib_module_names, "numpy", "scipy", "hypothesis", "pytest", "spanmatch"}
    extras = {f"spanmatch.{name}" for name in ("networks", "reporting", "command")}
    chosen = []
    for path in sorted((REPOSITORY / "tests").glob("test_*.py")):
        if path.name == "test_docstring_examples.py":  # imports every part, whatever that needs
            continue
        names = stands_on(path)
        packages = {name.partition(".")[0] for name in names}
        parts = {".".join(name.split(".")[:2]) for name in names}
        if "spanmatch" in packages and packages <= known and not parts & extras:
            chosen.append(path)
    return chosen


def test_the_library_passes_its_tests_on_the_oldest_that_it_declares(tmp_path: Path) -> None:
    tests = library_tests()
    assert {"test_gram.py", "test_profile.py", "test_minimal.py"} <= {path.name for path in tests}
    oldest = [bound.replace(">=", "==") for bound in PROJECT["dependencies"]]
    tools = ("hypothesis>=6.120", "pytest>=8.3.3", "pytest-timeout>=2.3")
    programs = environment("oldest", wheel(), *oldest, *tools)
    ran(
        programs / "pytest",
        *("--noconftest", "-p", "no:cacheprovider", "--quiet", "-m", "not draws", "--rootdir", REPOSITORY),
        *("--config-file", REPOSITORY / "pyproject.toml", *tests),
        folder=tmp_path,
        OMP_NUM_THREADS="1",
        OPENBLAS_NUM_THREADS="1",
        **{SHARE: "0.1"},  # with the newest all are tried
    )
