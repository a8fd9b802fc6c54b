"""Generated pairs of layers with images and positions, independent or with something in common."""

import numpy as np
from scipy.ndimage import gaussian_filter

from spanmatch import GramMatrix, fold_grams, held_out_profile, match_profile
from spanmatch.measures import Evidence, Measure

KINDS = ("gaussian", "relu", "maps", "heavy")


def independent(kind, rng, images=40, positions=1, n_x=6, n_y=6):
    """Two layers that have nothing in common but their kind: (images, positions, neurons) each."""
    return tuple(one_layer(kind, rng, images, positions, count) for count in (n_x, n_y))


def one_layer(kind, rng, images, positions, count):
    if kind == "maps":
        return smooth_maps(rng, images, positions, count)
    drawn = rng.standard_normal((images, positions, count))
    mixed = drawn @ (np.eye(count) + 0.5 * rng.standard_normal((count, count)))
    if kind == "relu":  # most of a neuron's length is its mean
        return np.maximum(mixed + 3, 0)
    if kind == "heavy":
        return mixed * np.sqrt(3 / rng.chisquare(3, (images, positions, 1)))
    return mixed


def smooth_maps(rng, images, positions, count):
    """Maps of positions that say nearly the same, and that differ by image."""
    side = round(positions**0.5)
    maps = gaussian_filter(rng.standard_normal((images, side, side, count)), sigma=(0, 2, 2, 0), mode="wrap")
    return (maps / maps.std()).reshape(images, side * side, count)


def shared_subspace(rng, images, n=64, dimensions=4, share=0.1):
    """Two layers of which a few dimensions that they have in common carry a tenth of the variance."""
    common = rng.standard_normal((images, dimensions)) * np.sqrt(share * n / dimensions)
    layers = []
    for _ in range(2):
        basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
        own = rng.standard_normal((images, n)) * np.sqrt(1 - share)
        layers.append(own @ basis + common @ basis[:dimensions])
    return tuple(layers)


def flat(layer):
    """(images, positions, neurons) as samples, and the image of each."""
    images, positions, count = layer.shape
    return layer.reshape(-1, count), np.repeat(np.arange(images), positions)


def _mean_critical_epsilon(evidence: Evidence, _: float | None) -> float:
    profile = evidence.profile
    return float(np.minimum(np.concatenate((profile.x, profile.y)), 1).mean())


def _cca(evidence: Evidence, _: float | None) -> float:
    moments, n_x = evidence.centred.matrix, evidence.gram.n_x
    halves = [np.linalg.cholesky(part) for part in (moments[:n_x, :n_x], moments[n_x:, n_x:])]
    inner = np.linalg.solve(halves[0], np.linalg.solve(halves[1], moments[n_x:, :n_x]).T)
    return float(np.linalg.svd(inner, compute_uv=False).mean())


# written out here, so that what is tested does not depend on how the registry's are
MEAN_CRITICAL_EPSILON = Measure(
    "mean-critical", 1, frozenset({"profile"}), _mean_critical_epsilon, "", "", "", higher_is_closer=False
)
CCA = Measure("plain-cca", 1, frozenset({"comoments"}), _cca, "", "", "")


def planted_pair(seed, neurons, noise=0.3, rectified=False):
    """A function of a generator and a number of samples: two layers that share what most neurons hold."""
    rng = np.random.default_rng(seed)
    dimensions = max(neurons // 4, 1)
    bases = rng.standard_normal((4, dimensions, neurons))
    bases /= np.linalg.norm(bases, axis=1, keepdims=True)
    noises = noise * rng.uniform(0.5, 1.5, (2, neurons))
    alone = rng.random((2, neurons)) < 0.3

    def draw(rng, samples):
        shared = rng.standard_normal((samples, dimensions))
        layers = []
        for side in range(2):
            own = rng.standard_normal((samples, dimensions))
            layer = np.where(alone[side], own @ bases[2 + side], shared @ bases[side])
            layer += noises[side] * rng.standard_normal((samples, neurons))
            layers.append(np.maximum(layer + 0.3, 0) if rectified else layer)
        return tuple(layers)

    return draw


def population(draw, neurons, samples=100_000):
    """Profile of so many samples that no fit is optimistic any more."""
    rng, gram = np.random.default_rng(99), GramMatrix.zeros(neurons, neurons)
    for _ in range(samples // 20_000):
        gram.update(*draw(rng, 20_000))
    return match_profile(gram)


EPSILONS = np.linspace(0.1, 0.9, 17)


def summary(profile):
    """Mean critical epsilon, those of all neurons, and similarities at `EPSILONS`."""
    critical = np.minimum(np.concatenate((profile.x, profile.y)), 1)
    return critical.mean(), critical, np.array([profile.similarity(epsilon) for epsilon in EPSILONS])


def squared_errors(seeds, noise, rectified, runs, neurons=16):
    """For samples = 2, 4, 8 times neurons: mean squared errors of `summary`, held out and not."""
    found = {2: [], 4: [], 8: []}
    for seed in seeds:
        draw = planted_pair(seed, neurons, noise, rectified)
        truth = summary(population(draw, neurons))
        for ratio, errors in found.items():
            for run in range(runs):
                x, y = draw(np.random.default_rng([seed, ratio, run]), ratio * neurons)
                profiles = (
                    held_out_profile(fold_grams(x, y)),
                    match_profile(GramMatrix.from_activations(x, y)),
                )
                errors.append([_errors(profile, truth) for profile in profiles])
    return {ratio: np.mean(errors, axis=0) for ratio, errors in found.items()}


def _errors(profile, truth):
    return [((one - other) ** 2).mean() for one, other in zip(summary(profile), truth, strict=True)]
