"""Generated pairs of layers with the structures that make matching hard, for Hypothesis."""

import numpy as np
from hypothesis import strategies as st

EPSILONS = st.sampled_from([0.0, 0.05, 0.15, 0.25, 0.3, 0.5, 0.8])


class Pair(tuple):
    """A pair of arrays that failures name by their making instead of printing them."""

    label = ""

    def __repr__(self):
        return self.label


@st.composite
def layers(draw, most=7, samples=60, kinds=("planted", "relu", "lines", "random")):
    """A pair (x, y) of activations, (samples, 1 to `most`) each."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n_x, n_y = draw(st.integers(1, most)), draw(st.integers(1, most))
    kind = draw(st.sampled_from(kinds))
    makers = {"planted": _planted, "relu": _relu, "lines": _lines, "random": _random}
    x, y = makers[kind](rng, samples, n_x, n_y)
    for side in (x, y):
        for _ in range(draw(st.integers(0, 2))):
            _damage(rng, side, draw(st.sampled_from(["dead", "duplicate", "combination", "negative"])))
    if draw(st.booleans()):
        x *= 10.0 ** rng.uniform(-6, 6, n_x)
        y *= 10.0 ** rng.uniform(-6, 6, n_y)
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    pair = Pair((x.astype(dtype), y.astype(dtype)))
    pair.label = f"{kind} {n_x} + {n_y} {dtype.__name__}, seed {seed}"
    return pair


def _planted(rng, samples, n_x, n_y):
    """Both sides mix the same few blocks of directions, with a noise that differs by neuron."""
    blocks = [rng.standard_normal((samples, int(k))) for k in rng.integers(1, 4, size=3)]

    def side(count):
        chosen = [blocks[i] for i in rng.integers(0, len(blocks), count)]
        columns = [block @ rng.standard_normal(block.shape[1]) for block in chosen]
        noise = rng.standard_normal((samples, count)) * rng.choice([0, 0, 0.02, 0.3], count)
        return np.stack(columns, axis=1) + noise

    return side(n_x), side(n_y)


def _relu(rng, samples, n_x, n_y):
    """Correlated features of a few common causes, as after a ReLU."""
    causes = rng.standard_normal((samples, 4)) + 0.5
    noise = rng.choice([0.01, 0.1, 0.5])

    def side(count):
        mixed = causes @ rng.standard_normal((4, count)) + noise * rng.standard_normal((samples, count))
        return np.maximum(mixed, 0)

    return side(n_x), side(n_y)


def _lines(rng, samples, n_x, n_y):
    """Neurons along few directions: pairs, repeated."""
    directions = np.linalg.qr(rng.standard_normal((samples, 4)))[0]
    return directions[:, rng.integers(0, 4, n_x)].copy(), directions[:, rng.integers(0, 4, n_y)].copy()


def _random(rng, samples, n_x, n_y):
    """Entangled: everything is a little of everything."""
    common = rng.standard_normal((samples, 5))
    own = rng.choice([0.0, 0.2])
    x = common @ rng.standard_normal((5, n_x)) + own * rng.standard_normal((samples, n_x))
    y = common @ rng.standard_normal((5, n_y)) + own * rng.standard_normal((samples, n_y))
    return x, y


def _damage(rng, side, kind):
    victim, model = rng.integers(0, side.shape[1], 2)
    if kind == "dead":
        side[:, victim] = 0
    elif kind == "duplicate":
        side[:, victim] = 3 * side[:, model]
    elif kind == "negative":
        side[:, victim] = -side[:, model]
    else:
        side[:, victim] = np.delete(side, victim, axis=1).sum(axis=1)


def random_bytes(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
