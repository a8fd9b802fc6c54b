"""Kinds of layers that are hard to certify: every structure with every damage."""

import numpy as np

SAMPLES = 12, 40, 64, 200
CHUNKS = 1, 2, 8, 50, 1000


def _signs(rng, samples, count):
    return rng.choice([-1.0, 1.0], (samples, count))


def _powers(rng, samples, count):
    return 2.0 ** rng.integers(-12, 12, (samples, count)) * _signs(rng, samples, count)


def _vandermonde(rng, samples, count):
    return np.linspace(-1, 1, samples)[:, None] ** rng.permutation(count)


def _hilbert(rng, samples, count):
    return 1 / (np.arange(samples)[:, None] + rng.permutation(count) + 1.0)


def _relu(rng, samples, count):
    causes = np.random.default_rng(samples).standard_normal((samples, 4)) + 0.5
    return np.maximum(causes @ rng.standard_normal((4, count)), 0)


def _shared(rng, samples, count):
    common = np.random.default_rng(samples).standard_normal((samples, 5))
    return common @ rng.standard_normal((5, count))


def _noisy(rng, samples, count):
    return _shared(rng, samples, count) + 0.2 * rng.standard_normal((samples, count))


def _lines(rng, samples, count):
    directions = np.linalg.qr(np.random.default_rng(samples).standard_normal((samples, 4)))[0]
    return directions[:, rng.integers(0, 4, count)]


def _hot(rng, samples, count):
    return np.eye(samples)[:, rng.integers(0, min(samples, count + 2), count)]


def _decaying(rng, samples, count):
    scales = 10.0 ** -np.linspace(0, rng.uniform(1, 9), count)
    return (_signs(rng, samples, count) * scales) @ np.linalg.qr(rng.standard_normal((count, count)))[0]


STRUCTURES = {
    "gaussian": lambda rng, samples, count: rng.standard_normal((samples, count)),
    "shared": _shared,
    "shared with noise": _noisy,
    "relu": _relu,
    "lines": _lines,
    "signs": _signs,
    "powers of two": _powers,
    "vandermonde": _vandermonde,
    "hilbert": _hilbert,
    "one sample each": _hot,
    "decaying spectrum": _decaying,
}


def _near(low, high):
    def damage(rng, x, y):
        """Twins within x, by a relative difference of any magnitude; y holds some of the differences."""
        size = 10.0 ** rng.uniform(low, high)
        half = (x.shape[1] + 1) // 2
        moved = rng.standard_normal(x.shape) * (rng.random(len(x)) < rng.choice([0.05, 1]))[:, None]
        scale = np.linalg.norm(x, axis=0) / np.maximum(np.linalg.norm(moved, axis=0), 1e-3)
        x[:, half:] = (x + size * moved * scale)[:, : x.shape[1] - half]
        y[:, 0] = moved[:, 0]
        y[:, -1] = x @ rng.standard_normal(x.shape[1])

    return damage


def _duplicates(rng, x, y):
    x[:, -1] = rng.choice([1, 3, -0.1]) * x[:, 0]
    y[:, -1] = -y[:, 0]


def _combinations(rng, x, y):
    x[:, -1] = x[:, :-1].sum(axis=1)
    y[:, 0] = x @ rng.standard_normal(x.shape[1])


def _mixed(rng, x, y):
    """y is an invertible mix of x, which has dead neurons."""
    x[:, : rng.integers(0, x.shape[1])] = 0
    y[:] = (x @ rng.standard_normal((x.shape[1], x.shape[1])))[:, np.arange(y.shape[1]) % x.shape[1]]


def _dead(rng, x, y):
    x[:, rng.integers(x.shape[1])] = 0
    y[:, rng.integers(y.shape[1])] = 0


def _constants(rng, x, y):
    x[:, 0], y[:, -1] = rng.uniform(0.5, 2, 2)


def _offsets(rng, x, y):
    x += 10.0 ** rng.uniform(0, 5)
    y += 10.0 ** rng.uniform(0, 5)


def _scales(rng, x, y):
    x *= 10.0 ** rng.uniform(-12, 100, x.shape[1])
    y *= 10.0 ** rng.uniform(-12, 100, y.shape[1])


def _sparse(rng, x, y):
    for side in (x, y):
        side *= rng.random(side.shape) < 0.1


DAMAGES = {
    "none": lambda rng, x, y: None,
    "far twins": _near(-5, -1),
    "grey twins": _near(-7.5, -4.5),
    "near twins": _near(-15, -7),
    "duplicates": _duplicates,
    "combinations": _combinations,
    "mixed": _mixed,
    "dead": _dead,
    "constants": _constants,
    "offsets": _offsets,
    "scales": _scales,
    "sparse": _sparse,
}
KINDS = [(structure, damage) for structure in STRUCTURES for damage in DAMAGES]


def draw(kind, seed):
    """A pair of layers of one kind, with the chunks it is summed in."""
    structure, damage = kind
    rng = np.random.default_rng([KINDS.index(kind), seed])
    samples, n_x, n_y = int(rng.choice(SAMPLES)), int(rng.integers(2, 8)), int(rng.integers(2, 8))
    x, y = (STRUCTURES[structure](rng, samples, count).astype(np.float64) for count in (n_x, n_y))
    DAMAGES[damage](rng, x, y)
    dtype = rng.choice(["float64", "float64", "float32", "float16"])
    if dtype != "float64":
        largest = 6e4 if dtype == "float16" else 1e30
        x, y = (side / np.maximum(np.abs(side).max(axis=0) / largest, 1) for side in (x, y))
    return x.astype(dtype), y.astype(dtype), int(rng.choice(CHUNKS))
