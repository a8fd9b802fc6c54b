"""The lint of the examples for clusters, against the packages that would run them."""

import importlib.metadata
import importlib.util
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from deployed import TEXT, check_command, dask_options, packaged
from jobs import slurm_example
from jsonschema import Draft7Validator, ValidationError

KUBERNETES = {each["kind"]: each for each in yaml.safe_load_all(TEXT["kubernetes.yaml"])}


def test_the_slurm_example_submits_workers_that_end_before_their_job(tmp_path: Path) -> None:
    slurm = slurm_example()
    job = {**slurm.JOB, "log_directory": str(tmp_path), "interface": "lo"}
    with slurm.SLURMCluster(**job, scheduler_options={"dashboard_address": "127.0.0.1:0"}) as cluster:
        script = cluster.job_script()
    assert f"#SBATCH -p {job['queue']}" in script
    assert f"#SBATCH --cpus-per-task={job['cores']}" in script
    assert f"#SBATCH -t {job['walltime']}" in script
    (line,) = [line for line in script.splitlines() if "dask_worker" in line]
    _, module, *arguments = shlex.split(line)[1:]
    assert importlib.util.find_spec(module) is not None
    worker = dask_options("worker", *arguments)
    assert (worker["n_workers"], worker["nthreads"]) == (str(job["processes"]), 1)
    assert worker["lifetime"] == "225m"


def strict(schema: Any) -> Any:
    """Return a schema that refuses keys that it does not know: Kubernetes would drop them in silence."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items()}
    closed = "properties" in schema and "additionalProperties" not in schema
    if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        out["additionalProperties"] = False
    return out


def resource_schema(kind: str) -> Any:
    path = packaged("dask-kubernetes", f"crds/{kind.lower()}.yaml")
    (version,) = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["versions"]
    return strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def pods() -> dict[str, dict[str, Any]]:
    cluster = KUBERNETES["DaskCluster"]["spec"]
    return {
        "worker": cluster["worker"]["spec"],
        "scheduler": cluster["scheduler"]["spec"],
        "run": KUBERNETES["Job"]["spec"]["template"]["spec"],
    }


@pytest.mark.parametrize("kind", ["DaskCluster", "DaskAutoscaler"])
def test_a_dask_resource_is_as_the_operator_defines_it(kind: str) -> None:
    resource = KUBERNETES[kind]
    assert resource["apiVersion"] == "kubernetes.dask.org/v1"
    Draft7Validator(resource_schema(kind)).validate(resource["spec"])
    with pytest.raises(ValidationError, match="replicsa"):
        Draft7Validator(resource_schema(kind)).validate({**resource["spec"], "replicsa": 1})


def test_the_kubernetes_run_uses_the_cluster_beside_it() -> None:
    assert list(KUBERNETES) == ["DaskCluster", "DaskAutoscaler", "Job"]
    name = KUBERNETES["DaskCluster"]["metadata"]["name"]
    assert KUBERNETES["DaskAutoscaler"]["spec"]["cluster"] == name
    job = KUBERNETES["Job"]
    assert job["apiVersion"] == "batch/v1"
    assert job["spec"].keys() == {"backoffLimit", "template"}
    pod = resource_schema("DaskCluster")["properties"]["worker"]["properties"]["spec"]
    Draft7Validator(pod).validate(pods()["run"])
    arguments = pods()["run"]["containers"][0]["args"]
    assert arguments[-2:] == ["--scheduler", f"tcp://{name}-scheduler:8786"]
    assert (REPOSITORY / arguments[2]).is_file()


@pytest.mark.parametrize("pod", ["worker", "scheduler", "run"])
def test_a_pod_runs_what_the_image_has_and_holds_no_secret(pod: str) -> None:
    (container,) = pods()[pod]["containers"]
    assert container["image"] == "registry.example.org/spanmatch:" + importlib.metadata.version("spanmatch")
    check_command([word.replace("$(DASK_WORKER_NAME)", "worker-1") for word in container["args"]])
    assert container["securityContext"]["runAsNonRoot"]
    assert "env" not in container
    for source in container.get("envFrom", ()):
        assert f"kubectl create secret generic {source['secretRef']['name']} " in TEXT["kubernetes.yaml"]
