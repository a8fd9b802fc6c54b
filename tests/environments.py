"""Environments that hold what pip installs into them and nothing else, made once in a session."""

import os
import subprocess
import venv
from pathlib import Path

import needs
import shared

REPOSITORY = Path(__file__).parent.parent


def ran(*command: object, folder: Path, expect: int = 0, **env: str) -> str:
    """Run a program; return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**kept, **env},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == expect, printed
    return printed


def pip(*arguments: object) -> None:
    """Run pip; skip the test where it reaches no index."""
    ran(needs.find("pypi"), "-m", "pip", "--disable-pip-version-check", *arguments, folder=REPOSITORY)


def wheel() -> Path:
    """Return the wheel of the repository."""
    made = shared.once("wheel", lambda folder: pip("wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY))
    (found,) = made.glob("*.whl")
    return found


def environment(name: str, *requirements: object) -> Path:
    """Return the folder of the programs of an environment that holds these requirements alone."""

    def make(folder: Path) -> None:
        venv.create(folder, symlinks=True)
        pip("--python", folder / "bin" / "python", "install", *requirements)

    return shared.once(name, make) / "bin"
