"""What some tests need of the machine beside Python's packages, looked for in one place.

A test, or a fixture, calls `find`. Where the package is missing the test is skipped by name and reason,
unless the environment variable SPANMATCH_REQUIRE lists it: then the test fails.
"""

import importlib
import os
import shutil
import subprocess
import tempfile
import venv
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import shared

_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def postgresql() -> Path | None:
    """Return the folder of PostgreSQL's programs: $SPANMATCH_POSTGRESQL, or the newest of Debian's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if "SPANMATCH_POSTGRESQL" in os.environ:
        folders = [Path(os.environ["SPANMATCH_POSTGRESQL"])]
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def chromium() -> Path | None:
    """Return the browser: $SPANMATCH_CHROMIUM, or the one on the PATH."""
    found = shutil.which(os.environ.get("SPANMATCH_CHROMIUM", "chromium"))
    return Path(found) if found else None


def fashion_mnist() -> Path | None:
    """Return the folder of the data set that Debian packages."""
    return _FASHION_MNIST if _FASHION_MNIST.exists() else None


def slurm() -> Path | None:
    """Return SLURM's controller."""
    found = shutil.which("slurmctld")
    return Path(found) if found else None


@cache
def pypi() -> Path | None:
    """Return an interpreter whose pip reaches packages by their names."""
    made = shared.once("pip", lambda folder: venv.create(folder, symlinks=True, with_pip=True))
    python = made / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "pip", "download", "--retries", "1", "--no-deps", "--dest", folder]
        reached = subprocess.run([*command, "hatchling"], capture_output=True, check=False).returncode == 0
    return python if reached else None


_FOUND_BY = {
    "postgresql": postgresql,
    "chromium": chromium,
    "dataset-fashion-mnist": fashion_mnist,
    "slurm-wlm": slurm,
    "pypi": pypi,
}


def find(package: str) -> Path:
    """Return where a package of Debian's is, or skip the test; fail it where the package is required.

    `pypi` is no package: what is found is an interpreter whose pip reaches an index.
    """
    found = _FOUND_BY[package]()
    if found is None:
        reason = f"Debian's package {package} is not installed"
        if package == "pypi":
            reason = "pip reaches no package index"
        if package in os.environ.get("SPANMATCH_REQUIRE", "").split(","):
            pytest.fail(f"{reason}, and SPANMATCH_REQUIRE lists it", pytrace=False)
        pytest.skip(reason)
    return found


def module(name: str) -> ModuleType:
    """Return a package of the index to compare with, imported, or skip the test; fail it where required."""
    try:
        return importlib.import_module(name)
    except ImportError:
        reason = f"the package {name} is not installed"
    if name in os.environ.get("SPANMATCH_REQUIRE", "").split(","):
        pytest.fail(f"{reason}, and SPANMATCH_REQUIRE lists it", pytrace=False)
    pytest.skip(reason)
