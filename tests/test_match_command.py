"""`spanmatch match`: the known answers, through the whole of the command."""

import json
from pathlib import Path

import numpy as np
from conftest import Environment, spanmatch
from test_certificate import with_hidden_direction


def match(folder: Path, x: np.ndarray, y: np.ndarray, *epsilons: float, env: Environment) -> dict:
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    options = [option for epsilon in epsilons for option in ("--epsilon", epsilon)]
    return json.loads(spanmatch("match", folder / "x.npy", folder / "y.npy", *options, "--json", env=env))


def sets(simple: list[dict]) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    return {(tuple(each["x"]), tuple(each["y"])) for each in simple}


# rows are neurons here, as a vector is written; the files hold (samples, neurons)
PLANTED_X = np.array([[1, 0.5, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]).T
PLANTED_Y = np.array(
    [[0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0.5, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]]
).T


def test_planted_subspaces(tmp_path: Path, bare_env: Environment) -> None:
    (found,) = match(tmp_path, PLANTED_X, PLANTED_Y, 0.1, env=bare_env)["matches"]
    assert found["x"] == [0, 1, 2, 3]
    assert found["y"] == [1, 2, 3, 4]
    assert found["similarity"] == 8 / 9
    assert sets(found["simple_matches"]) == {((0, 1), (1, 2)), ((2,), (3,)), ((3,), (4,))}


def test_what_a_person_reads(tmp_path: Path, bare_env: Environment) -> None:
    np.save(tmp_path / "x.npy", PLANTED_X)
    np.save(tmp_path / "y.npy", PLANTED_Y.astype(np.float32))
    printed = spanmatch("match", tmp_path / "x.npy", tmp_path / "y.npy", "--epsilon", 0.1, env=bare_env)
    assert "6 samples; 4 neurons in X, 5 in Y" in printed
    assert "ε = 0.1: maximum match similarity 0.888889" in printed
    assert "maximum match      X {0, 1, 2, 3}  Y {1, 2, 3, 4}" in printed
    assert "simple match       X {0, 1}  Y {1, 2}" in printed


def test_dead_neurons_never_match_and_still_count(tmp_path: Path, bare_env: Environment) -> None:
    x, y = np.array([[0, 0, 0], [1, 0, 0]]).T, np.array([[1, 0, 0], [0, 0, 0]]).T
    found = match(tmp_path, x, y, 0.3, env=bare_env)
    assert (found["dead_x"], found["dead_y"]) == ([0], [1])
    (at,) = found["matches"]
    assert (at["x"], at["y"], at["similarity"]) == ([1], [0], 0.5)


def test_permuted_neurons_match_one_to_one_at_every_epsilon(tmp_path: Path, bare_env: Environment) -> None:
    generator = np.random.default_rng(0)
    x = np.maximum(generator.normal(size=(500, 12)), 0)
    order = generator.permutation(12)
    for at in match(tmp_path, x, x[:, order], 0, 1e-6, 0.1, env=bare_env)["matches"]:
        assert at["similarity"] == 1
        assert sets(at["simple_matches"]) == {((int(index),), (place,)) for place, index in enumerate(order)}


def test_what_hangs_on_an_unclear_rank_is_said(tmp_path: Path, bare_env: Environment) -> None:
    x, y = with_hidden_direction(5e-6)
    (found,) = match(tmp_path, x, y, 0.15, env=bare_env)["matches"]
    assert (found["uncertain_x"], found["uncertain_y"]) == ([], [3])
    assert found["similarity_interval"] == [0.9, 1]
    printed = spanmatch("match", tmp_path / "x.npy", tmp_path / "y.npy", "--epsilon", 0.15, env=bare_env)
    assert "uncertain          X {}  Y {3}   similarity 0.9 to 1" in printed
