"""The lint of the container files: the compose file by its specification, the image by what it copies."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import DIGITS, REPOSITORY
from deployed import SCHEDULER, TEXT, check_command, packaged
from jsonschema import Draft202012Validator, ValidationError
from prefect.settings import Settings
from prefect.settings.legacy import _get_settings_fields

from flows.study.allowed import MODULES, SCHEDULERS
from flows.study.file import read_study
from spanmatch.networks.data.downloads import FOLDER_VARIABLE

COMPOSE = yaml.safe_load(TEXT["docker-compose.yaml"])
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_compose_file_is_as_its_specification_says() -> None:
    schema = yaml.safe_load(
        packaged("check-jsonschema", "vendor/compose-spec.json").read_text(encoding="utf-8")
    )
    validator = Draft202012Validator(schema)
    validator.validate(COMPOSE)
    with pytest.raises(ValidationError, match="imagee"):
        validator.validate({**COMPOSE, "services": {"server": {"imagee": "spanmatch"}}})


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_refers_to_is_there(service: str) -> None:
    values = SERVICES[service]
    needed = values.get("depends_on", {})
    assert set(needed) <= SERVICES.keys() - {service}
    if isinstance(needed, dict):
        assert all("healthcheck" in SERVICES[other] for other in needed)
    volumes = {volume.partition(":")[0] for volume in values.get("volumes", ())}
    assert volumes <= COMPOSE["volumes"].keys()
    for command in (values.get("command"), values.get("healthcheck", {}).get("test", [None])[1:]):
        if command:
            check_command([substituted(word) for word in command])
    assert values["image"] in ("spanmatch", "postgres:15")


def substituted(text: str) -> str:
    """Fill in what compose would, with words for what must be given."""
    return re.sub(r"\$\{\w+:([-?])([^}]*)\}", lambda found: found[2] if found[1] == "-" else "given", text)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_password_of_its_own_and_listens_on_loopback(service: str) -> None:
    values = SERVICES[service]
    known = {*_get_settings_fields(Settings), MODULES, SCHEDULERS, SCHEDULER}
    for name, value in values.get("environment", {}).items():
        assert name in known or name.startswith("POSTGRES_"), f"{name} is read by nobody"
        if re.search("PASSWORD|AUTH|CONNECTION_URL", name):
            assert re.search(r"\$\{SPANMATCH_(DATABASE_PASSWORD|AUTH):\?", value), (
                "required, and from outside"
            )
    for port in values.get("ports", ()):
        assert port.startswith("127.0.0.1:")
    assert values.get("network_mode") != "host"
    assert "privileged" not in values


def test_runs_may_use_the_dask_cluster_beside_them() -> None:
    address = SERVICES["worker"]["environment"][SCHEDULERS]
    assert address == SERVICES["worker"]["environment"][SCHEDULER]
    assert address in SERVICES["dask-worker"]["command"]
    assert address == "tcp://scheduler:8786"
    assert "8786" in SERVICES["scheduler"]["command"]
    assert SERVICES["worker"]["volumes"] == SERVICES["dask-worker"]["volumes"], "one root, one place"


def test_the_image_has_every_package_and_no_root() -> None:
    lines = [line.split() for line in TEXT["Dockerfile"].splitlines() if line and line[0] not in "# "]
    assert lines[0] == ["FROM", "python:3.11-slim"]
    assert [line[1] for line in lines if line[0] == "USER"] == ["spanmatch"]
    last = max(index for index, line in enumerate(lines) if line[0] == "RUN")
    assert lines.index(["USER", "spanmatch"]) > last, "nothing is installed as the user, nothing runs as root"
    copied = {source for line in lines if line[0] == "COPY" for source in line[1:-1]}
    assert {path for path in copied if not (REPOSITORY / path).exists()} == set()
    packages = {"spanmatch", "storage", "tasks", "flows"}
    assert packages | {"studies", "deployments", "constraints.txt"} <= copied
    assert "pip install --no-cache-dir --constraint constraints.txt --editable '.[all]'" in TEXT["Dockerfile"]
    (home,) = [line[1] for line in lines if line[0] == "WORKDIR"]
    mounted = {volume.partition(":")[2] for volume in SERVICES["worker"]["volumes"]}
    assert mounted == {f"{home}/{Path(read_study(DIGITS).root).parts[0]}", "/srv/data"}
    assert all(f" {place}" in TEXT["Dockerfile"] for place in mounted), "made in the image, for the user"
    assert f"{FOLDER_VARIABLE}=/srv/data" in TEXT["Dockerfile"]
