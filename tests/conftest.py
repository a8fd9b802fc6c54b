"""What the tests of the pipeline share: a real Prefect server, real studies, the real command line."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shared
import yaml
from hypothesis import settings

from tasks.stages import STAGES

# A property is what holds, not how soon: a machine may be busy with the other half of the tests.
settings.register_profile("whenever", deadline=None)
settings.load_profile("whenever")

REPOSITORY = Path(__file__).parent.parent
DIGITS = REPOSITORY / "studies" / "digits.yaml"
COMMAND = [str(Path(sys.executable).with_name("spanmatch"))]

# Two seeds, two layers, a second of training: every stage is real, and small. What resamples images and what
# looks for exemplars have tests of their own (test_statistics_of_a_study.py, test_exemplars.py), and are left
# out of the others.
PLAIN: dict[str, Any] = {
    "centre": ["raw"],
    "folds": 0,
    "null": {"permutations": 0},
    "measures": ["linear-cka"],
    "exemplars": 0,
}
TINY: dict[str, Any] = {
    **PLAIN,
    "name": "tiny",
    "seeds": [0, 1],
    "training": {
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0005,
    },
    "layers": ["block3.relu2", "classifier.relu1"],
    "images": 90,
    "segment_images": 45,
    "epsilons": [0.3, 0.5],
}

NOTHING = dict.fromkeys(STAGES, 0)

Environment = dict[str, str]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_REGION": "us-east-1"}


def spanmatch(*args: object, env: Environment, expect: int = 0, folder: Path | None = None) -> str:
    """Run the command line in a process of its own; return what it printed."""
    done = subprocess.run(
        [*COMMAND, *map(str, args)],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == expect, printed
    return printed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def begin(
    command: list[str], env: Environment | None = None, folder: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start a command in a group of its own; what it says goes nowhere."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=env, cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True)


def end_group(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGTERM) -> None:
    """End a process that leads its own group, and everything that it started."""
    os.killpg(process.pid, how)
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def bare_env(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment without a Prefect server: the command line starts a temporary one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    # wide, so that no line that a test reads is folded
    return {**kept, "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "COLUMNS": "400"}


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a process that xdist has started
    shared.begin()
    # Matrices are small here, and there is a process for each core: further threads would only wait for
    # each other, and that takes most of the time. NumPy and torch read it when they are loaded.
    for library in ("OMP", "OPENBLAS"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shared.end()


@pytest.fixture(scope="session")
def env(bare_env: Environment) -> Environment:
    """An environment with a running Prefect server, shared by all tests."""

    def start(folder: Path) -> None:
        port = free_port()
        address = f"http://127.0.0.1:{port}/api"
        command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        settings = {
            "PREFECT_HOME": str(folder),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_API_URL": address,
        }
        shared.start([sys.executable, *command], {**bare_env, **settings})
        wait_for_address(f"{address}/health", seconds=120)
        (folder / "address").write_text(address)

    return {**bare_env, "PREFECT_API_URL": (shared.once("server", start) / "address").read_text()}


@pytest.fixture(scope="session")
def outside(bare_env: Environment) -> list[str]:
    """The options of a run on an outside Dask cluster, shared by all tests.

    For tests to which it is all one where a run computes: these workers have loaded torch already.
    """

    def start(folder: Path) -> None:
        address = f"tcp://127.0.0.1:{free_port()}"
        for command in cluster_commands(address):
            shared.start(command, bare_env)
        wait_for_port(int(address.rpartition(":")[2]), seconds=60)
        (folder / "address").write_text(address)

    return ["--scheduler", (shared.once("cluster", start) / "address").read_text()]


def cluster_commands(address: str) -> list[list[str]]:
    """The commands that start a Dask scheduler at an address, and two workers of it."""
    at = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = ["distributed.cli.dask_scheduler", "--port", address.rpartition(":")[2]]
    workers = ["distributed.cli.dask_worker", address, "--nworkers", "2", "--nthreads", "1"]
    return [[sys.executable, "-m", *command, *at] for command in (scheduler, workers)]


@pytest.fixture(scope="session")
def digits_root(env: Environment) -> Path:
    """The embedded study, run from scratch. Not to be changed: copy it."""

    def make(folder: Path) -> None:
        spanmatch("run", DIGITS, "--root", folder / "root", env=env)

    return shared.once("digits", make) / "root"


@pytest.fixture(scope="session")
def tiny_root(env: Environment) -> Path:
    """The tiny study, run from scratch. Not to be changed: copy it."""

    def make(folder: Path) -> None:
        spanmatch("run", write_study(folder, TINY), "--root", folder / "root", env=env)

    return shared.once("tiny", make) / "root"


@pytest.fixture(scope="session")
def s3() -> Iterator[Environment]:
    """What the environment says of a running S3 server with one bucket, `bucket`."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    port = endpoint.rpartition(":")[2]
    server = begin([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port])
    try:
        wait_for_address(endpoint, seconds=60)
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")):
            yield {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
    finally:
        end_group(server)


@pytest.fixture
def url(s3: Environment, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the test's own, and the environment in which it can be reached."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{uuid.uuid4().hex}"


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a root to a place of the test's own."""

    def copy(root: Path) -> Path:
        return Path(shutil.copytree(root, tmp_path / "root"))

    return copy


def write_study(folder: Path, changes: dict[str, Any]) -> Path:
    """Write the embedded study with changes; return its path."""
    values = yaml.safe_load(DIGITS.read_text(encoding="utf-8")) | changes
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def ledger(root: Path) -> dict[str, dict[str, int]]:
    loaded: dict[str, dict[str, int]] = json.loads((root / "ledger.json").read_text())
    return loaded


def measured(pairs: int, epsilons: int) -> int:
    """How many values the measures of the tiny study have, of so many pairs at so many ε."""
    return pairs * (epsilons + 1)  # the maximum match, and linear CKA


def computed(root: Path) -> dict[str, int]:
    return {stage: counts["computed"] for stage, counts in ledger(root).items()}


def results(root: Path) -> tuple[str, str]:
    """What must be the same in every run: similarity and simple matches, to the byte."""
    return (root / "similarity.csv").read_text(), (root / "simple_matches.jsonl").read_text()


def mean_similarity(root: Path) -> dict[tuple[str, str, float], float]:
    """Average the similarity of a root's pairs by layer, checkpoint and ε, from its table."""
    values: dict[tuple[str, str, float], list[float]] = {}
    with (root / "similarity.csv").open(newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            moment = row["checkpoint_x"].partition("-")[2]
            assert row["checkpoint_y"].partition("-")[2] == moment
            values.setdefault((row["layer"], moment, float(row["epsilon"])), []).append(
                float(row["similarity"])
            )
    return {key: sum(found) / len(found) for key, found in values.items()}


def inodes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_ino
        for path in folder.rglob("*")
        if path.is_file()
    }


def wait_for_address(url: str, seconds: float) -> None:
    def answers() -> None:
        with urllib.request.urlopen(url, timeout=5):
            pass

    _wait_until_no_error(answers, url, seconds)


def wait_for_port(port: int, seconds: float) -> None:
    def answers() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass

    _wait_until_no_error(answers, f"port {port}", seconds)


def _wait_until_no_error(attempt: Callable[[], None], who: str, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            return attempt()
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"{who} did not answer within {seconds} s")
