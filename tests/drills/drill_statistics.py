"""Level, power, coverage and gain of the statistics, over hundreds of draws: minutes on one core.

``pytest tests/drills/drill_statistics.py -s`` prints the figures of docs/statistics.md.
"""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import zarr
from layers import (
    CCA,
    KINDS,
    MEAN_CRITICAL_EPSILON,
    planted_pair,
    shared_subspace,
    squared_errors,
)
from test_nulls import p_values

from spanmatch import GramMatrix, fold_grams, held_out_profile, jackknife, match_profile, null
from spanmatch.measures import MEASURES, Evidence, evaluate

DIGITS = Path(__file__).parents[2] / "studies" / "digits.yaml"
RUNS = 600  # so that 2 to 8 % lie three standard errors and more from 5 %
NAMES = ("similarity", "mean critical ε", "linear CKA", "mean CCA")

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]


@pytest.mark.parametrize("centre", ["raw", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_independent_layers_are_found_alike_as_often_as_the_level_says(kind, centre):
    shares = (p_values(kind, RUNS, centre, seed=1) <= 0.05).mean(axis=0)
    print(f"\nlevel, {kind}, {centre}:", dict(zip(NAMES, shares.tolist(), strict=True)))
    assert all(0.02 <= share <= 0.08 for share in shares[1:])
    assert shares[0] <= 0.08


def test_positions_that_are_not_kept_together_find_independent_maps_alike():
    shares = (p_values("maps", RUNS, "mean", together=False, seed=1) <= 0.05).mean(axis=0)
    print("\nlevel, maps, positions apart:", dict(zip(NAMES, shares.tolist(), strict=True)))
    assert all(share > 0.5 for share in shares[1:])


def test_a_shared_subspace_of_a_tenth_of_the_variance_is_found():
    measures, epsilons, found = [MEAN_CRITICAL_EPSILON, "linear-cka", CCA], [0.5, 0.94, 0.96, 0.98], []
    for run in range(100):
        x, y = shared_subspace(np.random.default_rng(run), 1000)
        result = null(x, y, permutations=19, seed=run, centre="mean", measures=measures, epsilons=epsilons)
        found.append([row.cleared for row in result.rows])
    shares = np.mean(found, axis=0)
    print("\npower:", dict(zip([*(f"similarity {e}" for e in epsilons), *NAMES[1:]], shares, strict=True)))
    assert (shares[-3:] >= 0.95).all()


@pytest.mark.parametrize("centre", ["raw", "mean"])
@pytest.mark.parametrize("rectified", [False, True])
def test_two_standard_errors_cover(rectified, centre):
    draw, neurons, images = planted_pair(5, 4, 0.6, rectified), 4, 200
    measures = [MEAN_CRITICAL_EPSILON, "linear-cka", CCA]
    values, errors, biases, critical, of_critical = [], [], [], [], []
    for number in range(500):
        folds = fold_grams(*draw(np.random.default_rng([7, number]), images))
        found = jackknife(folds, measures=measures, epsilons=[], centre=centre)
        values.append([row.value for row in found.rows])
        errors.append([row.error for row in found.rows])
        biases.append([row.bias for row in found.rows])
        critical.append([*found.profile.x, *found.profile.y])
        of_critical.append(np.concatenate(found.critical_errors))
    values, errors, biases, critical, of_critical = map(
        np.array, (values, errors, biases, critical, of_critical)
    )
    gram = GramMatrix.zeros(neurons, neurons)
    rng = np.random.default_rng(1)
    for _ in range(20):
        gram.update(*draw(rng, 50_000))
    evidence = Evidence(gram, match_profile(gram.centred if centre == "mean" else gram))
    chosen = [MEAN_CRITICAL_EPSILON, MEASURES["linear-cka"], CCA]
    truth = np.array([evaluate(measure, evidence) for measure in chosen])

    def covered(estimates, about, error):
        return np.mean(np.abs(estimates - about) <= 2 * error, axis=0).round(3).tolist()

    about_mean = covered(values, values.mean(axis=0), errors)
    print(f"\ncoverage, {'rectified' if rectified else 'Gaussian'}, {centre}, {NAMES[1:]}:", about_mean)
    print("  of the population value:", covered(values, truth, errors))
    print("  bias taken off, of the population value:", covered(values - biases, truth, errors))
    print("  of each neuron's critical ε:", covered(critical, critical.mean(axis=0), of_critical))
    assert all(0.9 <= share <= 0.98 for share in about_mean)


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("rectified", [False, True])
def test_held_out_is_nearer_to_the_population_than_in_sample(rectified, noise):
    for ratio, errors in squared_errors(range(6), noise, rectified, runs=4).items():
        unseen, in_sample = np.sqrt(errors).round(4)
        kind = "rectified" if rectified else "Gaussian"
        print(f"\nerror, {kind}, noise {noise}, samples / neurons {ratio}: held out", unseen, "in", in_sample)
        assert (unseen < in_sample)[:2].all()


def test_the_embedded_study_moves_less_held_out(tmp_path):
    command = [str(Path(sys.executable).with_name("spanmatch")), "run", str(DIGITS), "--root", str(tmp_path)]
    subprocess.run(command, check=True)
    networks = final_activations(tmp_path, "classifier.relu1")
    table = []
    for x, y in combinations(networks, 2):
        for images in (100, 200, 599):
            part = x[:images], y[:images]
            unseen, in_sample = (
                held_out_profile(fold_grams(*part)),
                match_profile(GramMatrix.from_activations(*part)),
            )
            table.append([unseen.similarity(0.25), in_sample.similarity(0.25)])
    of_pairs = np.reshape(table, (3, 3, 2))
    held, fitted = of_pairs.mean(axis=0).T
    print("\nclassifier.relu1, ε = 0.25, 100, 200, 599 images: held out", held, "in sample", fitted)
    print(of_pairs.round(3).tolist())
    assert np.ptp(held) < np.ptp(fitted)


def final_activations(root, layer):
    """Activations, (images, neurons), of each network after training."""
    found = {}
    for path in root.glob("segments/*.zarr"):
        group = zarr.open_group(path, mode="r")
        if group.attrs["layer"] == layer:
            first = int(group.attrs["image_ids"][0].partition("/")[2])
            found.setdefault(group.attrs["checkpoint"], {})[first] = group[layer][:][:, 0]
    layers = [np.concatenate([parts[first] for first in sorted(parts)]) for parts in found.values()]
    # untrained networks have many more dead neurons
    return sorted(layers, key=lambda layer: int((layer == 0).all(axis=0).sum()))[:3]
