"""The lint of prefect.yaml and automations.yaml, and of the commands that deployments/ says to type."""

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import yaml
from conftest import DIGITS, REPOSITORY
from deployed import SCHEDULER, TEXT, check_command
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import Settings
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from prefect.utilities.templating import apply_values

from flows.study.file import read_study
from flows.study.model import Study

DEPLOYMENTS = {
    f"{flow}/{entry['name']}": entry
    for entry in yaml.safe_load(TEXT["prefect.yaml"])["deployments"]
    for flow in [
        {"extend": "extend", "reanalyse": "reanalyse"}.get(entry["entrypoint"].partition(":")[2], "study")
    ]
}


def commands_in_words() -> Iterator[str]:
    """Yield the commands of ours that comments and the README say to type."""
    for text in TEXT.values():
        for line in text.splitlines():
            typed = re.match(r"(?:#\s+|in-worker\s+|)((?:prefect|spanmatch|dask) [a-z-]+ .*)", line)
            if typed and not typed[1].endswith(":"):
                yield typed[1]
        yield from re.findall(r"`((?:prefect|spanmatch) [a-z]+ [^`]*)`", text)


@pytest.mark.parametrize("command", sorted(set(commands_in_words())))
def test_a_command_that_is_said_to_be_typed_exists(command: str) -> None:
    check_command(shlex.split(command, comments=True))


def test_commands_that_do_not_exist_are_seen() -> None:
    assert len(set(commands_in_words())) >= 6
    for wrong in (
        "prefect worker strat",
        "prefect deploy --al",
        "dask worker --nproc 2",
        "spanmatch run --cron x y",
    ):
        with pytest.raises(Exception, match=r"[Uu]nknown|[Nn]o such"):
            check_command(wrong.split())


# prefect.yaml


def test_prefect_yaml_has_the_four_deployments_and_no_key_that_would_be_ignored() -> None:
    PrefectYamlModel.model_validate(yaml.safe_load(TEXT["prefect.yaml"]))
    assert list(DEPLOYMENTS) == ["study/digits", "study/nightly", "extend/weekly", "reanalyse/on-demand"]
    for entry in DEPLOYMENTS.values():
        assert entry.keys() <= DeploymentConfig.model_fields.keys()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_has_a_flow_that_takes_its_parameters(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    entry = DEPLOYMENTS[name]
    flow: Flow[..., Any] = load_flow_from_entrypoint(entry["entrypoint"])
    assert f"{flow.name}/{entry['name']}" == name
    schema = parameter_schema(flow).model_dump_for_openapi()
    for environment in ({}, {SCHEDULER: "tcp://127.0.0.1:8786"}):
        # as `prefect deploy` fills in the environment, and then leaves out what it has not found
        parameters = apply_values(apply_values(entry["parameters"], environment, remove_notset=False), {})
        validate(parameters, schema, raise_on_error=True, ignore_required=True)
        if "study" in parameters and isinstance(parameters["study"], dict):
            study = Study.model_validate(parameters["study"])
            assert study == read_study(DIGITS).with_options(scheduler=environment.get(SCHEDULER))
        else:
            assert parameters["study"] == read_study(DIGITS).root
        filled = {"epsilons": [0.35]} if flow.name == "reanalyse" else {}
        flow.validate_parameters({**parameters, **filled})


def test_one_run_of_the_study_goes_on_at_a_time_and_the_others_wait() -> None:
    for entry in DEPLOYMENTS.values():
        pool = entry["work_pool"]
        assert (pool["name"], pool["work_queue_name"]) == ("spanmatch", "digits")
        assert entry["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert "prefect work-queue create digits --pool spanmatch --limit 1" in set(commands_in_words())


def test_runs_wait_for_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in DEPLOYMENTS.values():
        for name, value in entry["work_pool"]["job_variables"]["env"].items():
            monkeypatch.setenv(name, value)
        client = Settings().client
        seconds = sum(2**attempt for attempt in range(1, client.max_retries + 1))  # Prefect's back-off
        assert seconds >= 120
        assert client.retry_extra_codes == {500}


def test_the_schedules_are_once_a_night_and_once_a_week() -> None:
    schedules = {name: entry.get("schedules", []) for name, entry in DEPLOYMENTS.items()}
    assert [name for name, found in schedules.items() if found] == ["study/nightly", "extend/weekly"]
    for name in ("study/nightly", "extend/weekly"):
        (schedule,) = schedules[name]
        read = RawScheduleConfig.model_validate(schedule)
        assert CronSchedule(cron=read.cron, timezone=read.timezone).timezone is not None
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedules["study/nightly"][0]["cron"])
    assert re.fullmatch(r"\d+ \d+ \* \* \d", schedules["extend/weekly"][0]["cron"])


# automations.yaml


@pytest.mark.parametrize(
    "values", yaml.safe_load(TEXT["automations.yaml"])["automations"], ids=lambda values: values["name"]
)
def test_an_automation_waits_for_events_that_there_are(values: dict[str, Any]) -> None:
    automation = AutomationCore.model_validate(values)
    trigger = automation.trigger
    assert isinstance(trigger, EventTrigger)
    assert values["trigger"].keys() <= EventTrigger.model_fields.keys()
    for action, given in zip(automation.actions, values["actions"], strict=True):
        assert given.keys() <= type(action).model_fields.keys()
    states = {each.value.title() for each in StateType} | {"Late", "Retrying", "AwaitingConcurrencySlot"}
    events = {f"prefect.flow-run.{name}" for name in (*states, "heartbeat")}
    assert trigger.after | trigger.expect <= events
    ends = {"Completed", "Failed", "Cancelled", "Crashed"}
    assert {f"prefect.flow-run.{name}" for name in ends} <= trigger.expect, "a run that is over is not missed"
    assert trigger.posture == Posture.Proactive
    frequency = Settings().flows.heartbeat_frequency
    assert frequency is not None
    assert trigger.within >= 3 * timedelta(seconds=frequency)
    minutes = {600: "ten minutes", 900: "fifteen minutes"}[int(trigger.within.total_seconds())]
    assert minutes in automation.description
    assert minutes in values["actions"][0]["message"]


def test_nothing_is_there_that_is_not_described() -> None:
    named = set(re.findall(r"`([\w.-]+)`", TEXT["README.md"]))
    assert TEXT.keys() - {"README.md"} <= named | {"Dockerfile"}
