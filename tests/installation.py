"""A group's installation for tests: database, server, the repository's deployments of a tiny study, a worker.

Apart from the services because a test wants it whole, and a drill wants to break a part of it.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml
from conftest import DIGITS, REPOSITORY, TINY, Environment
from services import Api, Postgresql, Server, prefect, prefect_in_background, until

DEPLOYMENTS = REPOSITORY / "deployments" / "prefect.yaml"
NIGHTLY, FORM, ON_DEMAND = "study/nightly", "study/digits", "reanalyse/on-demand"

WORKER_SETTINGS = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "1"}


class Installation:
    """What runs, and what a person does to it."""

    def __init__(self, folder: Path, bare_env: Environment, database: Postgresql | None) -> None:
        self.root = folder / "root"
        self.database = database
        self.server = Server(bare_env, database.url if database else None)
        self.api = Api(self.server.api)
        self.env = {**bare_env, "PREFECT_API_URL": self.server.api}
        self.study = yaml.safe_load(DIGITS.read_text(encoding="utf-8")) | TINY | {"root": str(self.root)}
        self._file = folder / "prefect.yaml"
        self._worker: subprocess.Popen[Any] | None = None

    def deploy(self, every_seconds: int) -> None:
        """Deploy what the repository deploys, of the tiny study, the nightly one every few seconds."""
        values = yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))
        for deployment in values["deployments"]:
            parameters = deployment["parameters"]
            whole = isinstance(parameters["study"], dict)
            parameters["study"] = self.study if whole else str(self.root)
            if deployment["name"] == "nightly":
                deployment["schedules"] = [{"interval": every_seconds, "slug": "nightly"}]
        self._file.write_text(yaml.safe_dump(values), encoding="utf-8")
        queue = values["deployments"][0]["work_pool"]
        prefect("work-pool", "create", queue["name"], "--type", "process", env=self.env)
        prefect(
            *("work-queue", "create", queue["work_queue_name"], "--pool", queue["name"], "--limit", "1"),
            env=self.env,
        )
        prefect("deploy", "--all", "--prefect-file", self._file, env=self.env)

    def start_worker(self) -> None:
        """Start a worker of the pool."""
        self._worker = prefect_in_background(
            "worker", "start", "--pool", "spanmatch", env={**self.env, **WORKER_SETTINGS}
        )

    def at_work(self) -> list[psutil.Process]:
        """Return the processes that the worker has started, and those that they have."""
        assert self._worker is not None
        return psutil.Process(self._worker.pid).children(recursive=True)

    def stop_worker(self) -> None:
        """End the worker and the runs that it has started, which lead groups of their own."""
        if self._worker is None:
            return
        started = self.at_work()
        self._worker.terminate()
        self._worker.wait(timeout=60)
        self._worker = None
        for process in started:
            if process.is_running():
                process.kill()
        psutil.wait_procs(started, timeout=30)

    def pause(self, deployment: str) -> None:
        """Stop a schedule, and forget its runs that have not begun."""
        found = self.api.get(f"deployments/name/{deployment}")
        self.api.post(f"deployments/{found['id']}/pause_deployment")

    def ask(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run of a deployment; return its id."""
        found = self.api.get(f"deployments/name/{deployment}")
        run = self.api.post(f"deployments/{found['id']}/create_flow_run", parameters=parameters)
        return str(run["id"])

    def cancel(self, run: str) -> None:
        """Do what the button in the UI does."""
        self.api.post(f"flow_runs/{run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})

    def finished(self, run: str, seconds: float = 180) -> dict[str, Any]:
        """Wait until a run has come to an end; return it."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.api.get(f"flow_runs/{run}")
            return found if found["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None

        return until(ended, seconds)


@contextmanager
def installed(folder: Path, bare_env: Environment, *, postgresql: bool) -> Iterator[Installation]:
    """Start database and server; end everything after the block."""
    database = Postgresql() if postgresql else None
    try:
        if database:
            database.start()
        installation = Installation(folder, bare_env, database)
        try:
            installation.server.start()
            yield installation
        finally:
            installation.stop_worker()
            installation.server.stop()
    finally:
        if database:
            database.remove()
