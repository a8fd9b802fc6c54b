"""What a group's installation stands on, started for tests: PostgreSQL, a Prefect server on it, a worker.

Apart from conftest because drills start, stop and restart them one by one. All are the real programs, on
loopback and in folders of their own; whoever starts one ends it.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import needs
from conftest import REPOSITORY, Environment, begin, end_group, free_port, wait_for_address

Found = TypeVar("Found")


class Postgresql:
    """A PostgreSQL cluster of one's own: a new folder, a free port, a password."""

    def __init__(self) -> None:
        # not below pytest's folder, which is closed to the user that the cluster must run as
        self._folder = Path(tempfile.mkdtemp(prefix="spanmatch-postgresql-"))
        self._binaries = needs.find("postgresql")
        self._port = free_port()
        # PostgreSQL refuses to run as root
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self._folder, "postgres", "postgres")
        password = secrets.token_hex(16)
        self.url = f"postgresql+asyncpg://prefect:{password}@127.0.0.1:{self._port}/postgres"
        self._create(password)
        self._process: subprocess.Popen[bytes] | None = None

    def _create(self, password: str) -> None:
        secret = self._folder / "password"  # nobody else enters the folder
        secret.write_text(password, encoding="ascii")
        subprocess.run(
            [
                self._binaries / "initdb",
                *("--pgdata", self._folder / "data", "--username", "prefect", "--encoding", "UTF8"),
                *("--auth", "scram-sha-256", "--pwfile", secret, "--no-locale", "--no-sync"),
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            timeout=60,
            check=True,
            **self._user,
        )

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres",
                    *("-D", self._folder / "data", "-p", str(self._port), "-k", "", "-F"),
                    *("-c", "listen_addresses=127.0.0.1"),
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                **self._user,
            )
        ready = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        until(lambda: subprocess.run(ready, timeout=10, check=False).returncode == 0, seconds=60)

    def stop(self) -> None:
        """Cut every connection and stop, as a restart of the service does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)
        self._process = None

    def remove(self) -> None:
        """Stop it, and leave nothing."""
        if self._process is not None:
            self.stop()
        shutil.rmtree(self._folder)


class Server:
    """A Prefect server with its UI, on a database of its own."""

    def __init__(self, bare_env: Environment, database: str | None) -> None:
        """`database` is a connection's URL, or none for SQLite in the environment's PREFECT_HOME."""
        port = free_port()
        self.ui = f"http://127.0.0.1:{port}"
        self.api = f"{self.ui}/api"
        self._command = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self._env = {**bare_env, "PREFECT_SERVER_UI_API_URL": self.api} | SERVER_SETTINGS
        if database is not None:
            self._env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = prefect_in_background(*self._command, env=self._env)
        wait_for_address(f"{self.api}/health", seconds=120)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            end_group(self._process)
            self._process = None


# Services of the server that look for work every so often do so more often, where a test waits for them.
SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
}


def prefect_in_background(*args: str, env: Environment) -> subprocess.Popen[Any]:
    """Start one of Prefect's commands that goes on, from the repository's folder, leading its own group."""
    return begin([sys.executable, "-m", "prefect", *args], env, REPOSITORY)


def prefect(*args: object, env: Environment) -> str:
    """Run one of Prefect's commands from the repository's folder; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *map(str, args)],
        env=env,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Api:
    """Prefect's API as a plain client sees it: what is tested is what is kept there."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        return self._send("GET", path, None)

    def post(self, path: str, **body: Any) -> Any:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )

        def answer() -> bytes | None:
            try:
                with urllib.request.urlopen(request, timeout=30) as found:
                    return bytes(found.read()) or b"null"
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise
                return None  # SQLite is busy, and says to come again

        return json.loads(until(answer, seconds=60))

    def runs(self, deployment: str, *states: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment (``flow/name``), or those in one of the states, oldest first."""
        wanted = self.get(f"deployments/name/{deployment}")["id"]
        runs = self.post(
            "flow_runs/filter",
            deployments={"id": {"any_": [wanted]}},
            flow_runs={"state": {"type": {"any_": list(states)}}} if states else None,
            sort="EXPECTED_START_TIME_ASC",
        )
        return list(runs)

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the task runs of a run."""
        return list(self.post("task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}}))

    def artifacts(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return what the artefacts of a run hold, by key."""
        found = self.post("artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact["data"] for artifact in found}


def until(condition: Callable[[], Found | None], seconds: float) -> Found:
    """Wait until a condition holds, and return what it came to."""
    give_up = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < give_up, f"not within {seconds} s"
        time.sleep(0.2)
