"""`spanmatch serve`: runs on a schedule, a run whose process is gone, and what is refused."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import (
    COMMAND,
    NOTHING,
    REPOSITORY,
    TINY,
    Environment,
    computed,
    end_group,
    measured,
    results,
    write_study,
)
from rich.console import Console
from test_interruptions import see_interrupts

from flows.command.serving import serve_session
from flows.study.allowed import allow, check_allowed
from flows.study.file import read_study
from flows.study.model import Study

AUTOMATIONS = REPOSITORY / "deployments" / "automations.yaml"


@dataclass(frozen=True)
class Served:
    """A running `spanmatch serve`, and the file that it prints to."""

    process: subprocess.Popen[bytes]
    out: Path

    def until(self, true: Callable[[], Any], seconds: float = 120) -> Any:
        """Wait until something is true, for as long as the command runs."""
        give_up = time.monotonic() + seconds
        while not (found := true()):
            assert self.process.poll() is None, self.out.read_text()
            assert time.monotonic() < give_up, self.out.read_text()
            time.sleep(0.1)
        return found

    def interrupt(self) -> str:
        """Type Ctrl-C, and return what was printed in all."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=60)
        printed = self.out.read_text()
        assert self.process.returncode == 130, printed
        assert "stopped; the same command goes on from here" in printed
        assert "Traceback" not in printed
        return printed


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start `spanmatch serve` as from a terminal; what still runs after the test is killed."""
    started: list[Served] = []

    def start(*options: object, env: Environment) -> Served:
        out = tmp_path / f"printed{len(started)}.txt"
        with out.open("wb") as file:
            process = subprocess.Popen(
                [*COMMAND, "serve", *map(str, options)],
                env={**env, "PREFECT_RUNNER_POLL_FREQUENCY": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=see_interrupts,
            )
        started.append(Served(process, out))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            end_group(each.process, signal.SIGKILL)


def asked(method: str, url: str, **request: Any) -> httpx.Response:
    """Ask a Prefect server, again where its database is busy, as Prefect's own client does."""
    give_up = time.monotonic() + 60
    while (
        response := httpx.request(method, url, **request)
    ).status_code == 503 and time.monotonic() < give_up:
        time.sleep(0.2)
    return response.raise_for_status()


def test_a_run_whose_host_is_gone_is_marked_and_the_next_scheduled_run_completes_it(
    tiny_root: Path, tmp_path: Path, env: Environment, serve: Serve
) -> None:
    def post(path: str, body: dict[str, Any]) -> Any:
        return asked("POST", env["PREFECT_API_URL"] + path, json=body).json()

    def runs(*states: str) -> Any:
        of = {"deployments": {"name": {"any_": ["lost-served"]}}}
        return post("/flow_runs/filter", {**of, "flow_runs": {"state": {"type": {"any_": list(states)}}}})

    def heard() -> list[str]:
        """Ids of runs that have sent a heartbeat."""
        found = post("/events/filter", {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}})
        return [event["resource"]["prefect.resource.id"].rpartition(".")[2] for event in found["events"]]

    # as it stands in the file, for this test's runs alone, and sooner
    automation = yaml.safe_load(AUTOMATIONS.read_text())["automations"][0]
    automation["trigger"] |= {
        "within": 10,
        "match_related": {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.lost"},
    }
    created = post("/automations/", automation)
    study, root = write_study(tmp_path, {**TINY, "name": "lost"}), tmp_path / "root"
    try:
        host = serve(study, "--root", root, "--every", "5s", env=env)
        lost = host.until(lambda: next((run for run in runs("RUNNING") if run["id"] in heard()), None))
        end_group(host.process, signal.SIGKILL)  # without a word, as when the host is rebooted
        host = serve(study, "--root", root, "--every", "5s", env=env)
        crashed = host.until(lambda: next(iter(runs("CRASHED")), None))
        assert crashed["id"] == lost["id"]
        assert "Nothing has been heard of this run for ten minutes" in crashed["state"]["message"]
        host.until(lambda: runs("COMPLETED"))
        printed = host.interrupt()
    finally:
        asked("DELETE", f"{env['PREFECT_API_URL']}/automations/{created['id']}")
    assert "serving study/lost-served" in printed
    (deployment,) = post("/deployments/filter", {"deployments": {"name": {"any_": ["lost-served"]}}})
    assert deployment["paused"], "nothing is scheduled while nobody serves it"
    assert results(root) == results(tiny_root)


def test_a_study_is_served_on_demand_by_a_server_that_ends_with_the_command(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, bare_env: Environment, serve: Serve
) -> None:
    root = copy_of(tiny_root)
    study = write_study(tmp_path, {**TINY, "name": "asked", "epsilons": [0.3, 0.4, 0.5], "root": str(root)})
    served = serve(study, env=bare_env)
    served.until(lambda: "serving study/asked-served; Ctrl-C ends it" in served.out.read_text())
    (server,) = re.findall(r"UI at (http://127\.0\.0\.1:\d+) until", served.out.read_text())
    url = f"{server}/api"
    deployment = asked("GET", f"{url}/deployments/name/study/asked-served").json()
    assert deployment["schedules"] == []
    asked("POST", f"{url}/deployments/{deployment['id']}/create_flow_run", json={})
    served.until(lambda: computed(root)["networks"] == 0)
    assert computed(root) == {**NOTHING, "matches": 4, "measures": measured(4, 3) - measured(4, 2)}
    served.interrupt()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cron": "61 * * * *"}, r"`--cron` must be a cron expression.*'61 \* \* \* \*'"),
        ({"every": "0h"}, "`--every` must be a whole number from 1 with its unit.*'0h'"),
        ({"every": "12"}, "`--every` must be a whole number from 1 with its unit.*'12'"),
        ({"cron": "@daily", "every": "1d"}, "`--cron` and `--every` must not both be given"),
    ],
)
def test_a_schedule_that_is_none_is_refused_before_anything_is_served(
    options: dict[str, str], says: str, tmp_path: Path
) -> None:
    study = read_study(write_study(tmp_path, {**TINY, "root": str(tmp_path / "root")}))
    with pytest.raises(ValueError, match=says):
        serve_session(study, Console(), **{"cron": None, "every": None, **options})
    assert not (tmp_path / "root").exists()


def test_what_a_served_study_names_is_allowed_to_its_runs_and_nothing_else(tmp_path: Path) -> None:
    changes = {**TINY, "architecture": "mine.networks:small", "scheduler": "tcp://127.0.0.1:8786"}
    study = read_study(write_study(tmp_path, changes))
    environment = {"SPANMATCH_MODULES": "theirs", "PATH": "kept"}
    with pytest.raises(ValueError, match=r"'mine\.networks:small'"):
        check_allowed(study, environment)
    allow(study, environment)
    check_allowed(study, environment)
    assert environment == {
        "SPANMATCH_MODULES": "theirs,mine",
        "SPANMATCH_SCHEDULERS": "tcp://127.0.0.1:8786",
        "PATH": "kept",
    }
    other: Study = study.model_copy(update={"dataset": "os.path:join"})
    with pytest.raises(ValueError, match=r"'os\.path:join'"):
        check_allowed(other, environment)
