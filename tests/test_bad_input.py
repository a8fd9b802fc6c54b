"""Bad input: one clear message, exit code 2, no traceback, nothing written."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import DIGITS, TINY, Environment, free_port, spanmatch, write_study
from in_process import spanmatch_here

from flows.run import plan
from flows.study.model import Study
from flows.study.resolved import Resolved
from spanmatch.errors import SpanmatchError
from storage.root import Root
from tasks import networks
from tasks.devices import device_of_this_worker
from tasks.statistic import Reading

DIGITS_SIZE = 599


def refused(*args: object, env: Environment, says: list[str], folder: Path) -> None:
    """Assert that a command is refused in words, and that it leaves its folder as it was."""
    before = sorted(folder.rglob("*"))
    printed = spanmatch(*args, env=env, expect=2)
    for words in says:
        assert words in printed
    assert "Traceback" not in printed
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"imagez": 3}, ["`imagez` is not a key of a study", "did you mean `images`?"]),
        ({"training": {"epoch": 2}}, ["`training.epoch` is not a key", "did you mean `epochs`?"]),
        ({"dataset": "digitz"}, ["`dataset` must be one of: digits", "'digitz'", "did you mean 'digits'?"]),
        ({"architecture": "vgg99"}, ["`architecture` must be one of: vgg9-digits", "'vgg99'"]),
        ({"layers": ["block1.relu7"]}, ["`layers` must be one of:", "'block1.relu7'", "did you mean"]),
        ({"seeds": [0]}, ["`seeds` must hold at least two seeds", "[0]"]),
        ({"seeds": []}, ["`seeds` must hold at least two seeds"]),
        ({"seeds": [1, 2, 1]}, ["`seeds` must not repeat, got 1"]),
        ({"seeds": [0, -1]}, ["`seeds` must be greater than or equal to 0, got -1"]),
        ({"seeds": [0, "one"]}, ["`seeds` must be a valid integer", "'one'"]),
        ({"epsilons": [0.2, 1.0]}, ["`epsilons` must be at least 0 and below 1", "got 1.0; 0 asks"]),
        ({"epsilons": [-0.1]}, ["`epsilons` must be at least 0 and below 1", "got -0.1"]),
        ({"epsilons": [float("nan")]}, ["`epsilons` must be a finite number, got nan"]),
        ({"epsilons": []}, ["`epsilons`", "at least 1 item"]),
        ({"images": 600}, [f"`images` must be at most {DIGITS_SIZE}", "got 600"]),
        ({"images": 0}, ["`images` must be a number of samples from 1, or all, got 0"]),
        ({"checkpoints": ["last"]}, ["`checkpoints` must be initial, best, final or epoch1", "got 'last'"]),
        ({"name": "My Study"}, ["`name` must match pattern", "'My Study'"]),
        ({"measures": ["maximum-mach"]}, ["must be one of: maximum-match", "did you mean 'maximum-match'?"]),
        ({"measures": ["maximum-match"] * 2}, ["`measures` must not repeat, got maximum-match"]),
        ({"measures": []}, ["`measures`", "at least 1 item"]),
        ({"folds": 1}, ["`folds` must be 0, for none, or from 2 to the number of samples, 90, got 1"]),
        ({"folds": 91}, ["`folds` must be 0, for none, or from 2 to the number of samples, 90, got 91"]),
        ({"images": "all", "folds": 600}, [f"to the number of samples, {DIGITS_SIZE}, got 600"]),
        (
            {"null": {"permutations": 18}},
            ["`null.permutations` must be at least 19 for level 0.05", "got 18; ask for more, or 0 for no"],
        ),
        (
            {"null": {"permutations": 90}},
            ["`null.permutations` must be below the number of samples, 90, got"],
        ),
        ({"null": {"permutation": 20}}, ["`null.permutation` is not a key", "did you mean `permutations`?"]),
        ({"centre": ["median"]}, ["`centre` must be 'raw' or 'mean', got 'median'"]),
        ({"centre": ["raw", "raw"]}, ["`centre` must not repeat, got raw"]),
        ({"root": "/dev/null/root"}, ["`root` must be a folder that can be written", "choose another"]),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_a_study_that_breaks_a_rule_is_refused(
    changes: dict[str, Any], says: list[str], tmp_path: Path, bare_env: Environment
) -> None:
    study = write_study(tmp_path, {**TINY, "root": str(tmp_path / "root"), **changes})
    refused("run", study, env=bare_env, says=says, folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seeds: [0, 1", ["`STUDY` must be YAML"]),
        ("just words", ["`STUDY` must hold keys and values, got str"]),
        ("", ["`STUDY` must hold keys and values, got NoneType"]),
        ("\x00\x01", ["`STUDY` must be YAML"]),
        ("name: x", ["`dataset` is missing", "`architecture` is missing"]),
    ],
)
def test_a_file_that_is_no_study_is_refused(
    text: str, says: list[str], tmp_path: Path, bare_env: Environment
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(text)
    refused("run", study, env=bare_env, says=says, folder=tmp_path)


def test_a_study_that_is_not_there_is_refused(tmp_path: Path, bare_env: Environment) -> None:
    missing = tmp_path / "none.yaml"
    for command in ("run", "status", "report"):
        refused(
            command,
            missing,
            env=bare_env,
            says=["`STUDY` must be a YAML file that can be read"],
            folder=tmp_path,
        )


def test_options_are_held_to_the_rules_of_the_study(tmp_path: Path, bare_env: Environment) -> None:
    root = ["--root", tmp_path / "root"]
    refused(
        "run",
        DIGITS,
        *root,
        "--epsilon",
        1,
        env=bare_env,
        says=["`epsilons` must be at least 0 and below 1", "got 1.0"],
        folder=tmp_path,
    )
    refused(
        "run",
        DIGITS,
        *root,
        "--epsilon",
        "x",
        env=bare_env,
        says=["Invalid value for '--epsilon'"],
        folder=tmp_path,
    )


def test_a_scheduler_that_does_not_answer_is_refused(tmp_path: Path, bare_env: Environment) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    says = ["`scheduler` must be the address of a Dask scheduler that answers", address]
    refused(
        "run",
        DIGITS,
        "--root",
        tmp_path / "root",
        "--scheduler",
        address,
        env=bare_env,
        says=says,
        folder=tmp_path,
    )
    says = ["`scheduler` must be the address", "nonsense"]
    refused(
        "run",
        DIGITS,
        "--root",
        tmp_path / "root",
        "--scheduler",
        "nonsense",
        env=bare_env,
        says=says,
        folder=tmp_path,
    )


def test_a_prefect_server_that_does_not_answer_is_refused(tmp_path: Path, bare_env: Environment) -> None:
    address = f"http://127.0.0.1:{free_port()}/api"
    printed = spanmatch(
        "run", DIGITS, "--root", tmp_path / "root", env={**bare_env, "PREFECT_API_URL": address}, expect=2
    )
    assert "`PREFECT_API_URL` must be the address of a Prefect server that answers" in printed
    assert "Traceback" not in printed


def test_a_report_without_results_is_refused(tmp_path: Path, bare_env: Environment) -> None:
    says = ["`STUDY` must have results to report", "run the study"]
    refused("report", DIGITS, "--root", tmp_path / "root", env=bare_env, says=says, folder=tmp_path)


def test_nan_in_training_names_the_network_and_the_step(
    tmp_path: Path, env: Environment, outside: list[str]
) -> None:
    training = {**TINY["training"], "learning_rate": 1e30}
    study = write_study(tmp_path, {**TINY, "training": training, "checkpoints": ["final"]})
    printed = spanmatch_here("run", study, "--root", tmp_path / "root", *outside, env=env, expect=2)
    assert re.search(
        r"training seed [01]: the loss must be finite, got nan in step 2 of epoch 1; lower", printed
    )
    assert "Traceback" not in printed
    assert not (tmp_path / "root" / "similarity.csv").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_a_worker_lacks_is_said_without_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(SpanmatchError, match=r"on a worker, `device` must be present, got 'cuda'"):
        device_of_this_worker("cuda")
    study = Study.model_validate(
        yaml.safe_load(DIGITS.read_text()) | {"training": {"mixed_precision": True}, "root": str(tmp_path)}
    )
    wanted = plan.wanted(study, Resolved(("classifier.relu1",), "data", "data", 599))
    unit, root = networks.plan(wanted, {})["seed0"], Root.prepare(tmp_path)
    with pytest.raises(SpanmatchError, match="`mixed_precision` must be false without a CUDA"):
        networks.compute(root, [unit], Reading(root))


def save(folder: Path, name: str, values: object, **options: Any) -> Path:
    path = folder / f"{name}.npy"
    np.save(path, values, **options)
    return path


GOOD = np.random.default_rng(0).normal(size=(20, 3))
WITH_NAN = np.where(np.arange(60).reshape(20, 3) == 31, np.nan, GOOD)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (GOOD, GOOD[:-1], ["20", "19", "rows are samples"]),
        (GOOD, WITH_NAN, ["`y`", "NaN", "1"]),
        (np.where(np.isnan(WITH_NAN), np.inf, GOOD), GOOD, ["`x`", "1"]),
        (GOOD[:, 0], GOOD, ["`x`", "two", "(20,)"]),
        (GOOD[None], GOOD, ["`x`", "two"]),
        (GOOD, GOOD[:, :0], ["`y`"]),
        (GOOD[:0], GOOD[:0], ["sample"]),
        (GOOD.astype(complex), GOOD, ["`x`", "complex"]),
        (np.array([["a"] * 3] * 20), GOOD, ["`x`"]),
    ],
    ids=[
        "counts",
        "nan",
        "infinity",
        "one-dimension",
        "three",
        "no-neurons",
        "no-samples",
        "complex",
        "text",
    ],
)
def test_arrays_that_cannot_be_matched_are_refused(
    x: np.ndarray, y: np.ndarray, says: list[str], tmp_path: Path, bare_env: Environment
) -> None:
    paths = save(tmp_path, "x", x), save(tmp_path, "y", y)
    refused("match", *paths, "--epsilon", 0.3, env=bare_env, says=says, folder=tmp_path)


def test_files_that_hold_no_array_are_refused(tmp_path: Path, bare_env: Environment) -> None:
    good, text = save(tmp_path, "good", GOOD), tmp_path / "text.npy"
    text.write_text("not an array")
    objects = save(tmp_path, "objects", np.array([{}, {}]), allow_pickle=True)
    archive = tmp_path / "archive.npz"
    np.savez(archive, GOOD, GOOD)
    for wrong in (text, objects, archive, tmp_path / "missing.npy"):
        for pair in ((good, wrong), (wrong, good)):
            refused(
                "match",
                *pair,
                "--epsilon",
                0.3,
                env=bare_env,
                says=["numpy.save", wrong.name],
                folder=tmp_path,
            )


@pytest.mark.parametrize("epsilon", ["-0.1", "1", "nan"])
def test_an_epsilon_out_of_range_is_refused(epsilon: str, tmp_path: Path, bare_env: Environment) -> None:
    good = save(tmp_path, "good", GOOD)
    says = ["`--epsilon` must be at least 0 and below 1"]
    refused("match", good, good, "--epsilon", epsilon, env=bare_env, says=says, folder=tmp_path)


def test_no_more_samples_than_neurons_is_a_warning_and_not_a_refusal(
    tmp_path: Path, bare_env: Environment
) -> None:
    few = save(tmp_path, "few", np.random.default_rng(0).normal(size=(50, 60)))
    other = save(tmp_path, "other", np.random.default_rng(1).normal(size=(50, 60)))
    printed = spanmatch("match", few, other, "--epsilon", 0, env=bare_env)
    assert "warning" in printed
    assert "meaningless" in printed
    assert "maximum match similarity 1" in printed
