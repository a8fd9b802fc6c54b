"""Which neurons of a study's language models are universal: ``python -m benchmarks.universal_neurons ROOT``.

By the definition of Gurnee et al. 2024 ("Universal Neurons in GPT2 Language Models", arXiv 2401.12181): the
greatest correlation of a neuron with any neuron of another seed's network, less the greatest with neurons of
that network whose layers are rotated at random, in the mean over the other networks, exceeds 0.5. Of the
networks of seeds at one checkpoint, all layers of the study, over all stored samples but padding. The study
keeps its activations.
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import spanmatch

Array = NDArray[np.float32]

UNIVERSAL = 0.5


class Best(NamedTuple):
    """Greatest correlations of the neurons of a network, (n,), with true and with rotated ones of others."""

    true: NDArray[np.float64]
    rotated: NDArray[np.float64]

    @property
    def excess(self) -> NDArray[np.float64]:
        return self.true - self.rotated


def standardised(samples: Array) -> Array:
    """Return samples, (n_samples, n), less their means and of length 1, neuron by neuron."""
    centred = samples - samples.mean(axis=0, dtype=np.float64).astype(samples.dtype)
    length = np.linalg.norm(centred, axis=0)
    return centred / np.where(length > 0, length, 1)


def rotated(layers: Sequence[Array], generator: np.random.Generator) -> list[Array]:
    """Return the layers of a network, (n_samples, n), each turned by a random orthogonal matrix."""
    turned = []
    for samples in layers:
        size = samples.shape[1]
        axes, _ = np.linalg.qr(generator.standard_normal((size, size)))
        turned.append(samples @ axes.astype(samples.dtype))
    return turned


def best(networks: Mapping[str, Sequence[Array]], seed: int) -> dict[str, Best]:
    """Return the greatest correlations of the neurons of each network, in the mean over the others.

    Parameters
    ----------
    networks
        Layers of each, (n_samples, n) and of the same samples.
    seed
        Of the rotations: one of each layer, for each two networks.
    """
    generator = np.random.default_rng(seed)
    found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in networks}
    for one, other in permutations(networks, 2):
        x = np.hstack([standardised(each) for each in networks[one]])
        sides = networks[other], rotated(networks[other], generator)
        y, turned = (np.hstack([standardised(each) for each in side]) for side in sides)
        found[one].append(((x.T @ y).max(axis=1), (x.T @ turned).max(axis=1)))
    return {name: Best(*np.mean(each, axis=0, dtype=np.float64)) for name, each in found.items()}


def stored_layers(root: str, checkpoint: str) -> dict[str, list[Array]]:
    """Return the layers of each seed's network at a checkpoint, samples that count alone."""
    stored = spanmatch.open_root(root)
    networks: dict[str, list[Array]] = {}
    for name in stored.checkpoints:
        if not name.startswith("seed") or not name.endswith(f"-{checkpoint}"):
            continue
        layers = []
        for layer in stored.layers:
            values = np.asarray(stored.activations(name, layer), dtype=np.float32)
            rows = values.reshape(-1, values.shape[-1])
            layers.append(rows[~np.isnan(rows[:, 0])])
        networks[name] = layers
    return networks


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.universal_neurons", description=__doc__)
    parser.add_argument("root", help="of the study")
    parser.add_argument("--checkpoint", default="final")
    parser.add_argument("--seed", type=int, default=0, help="of the rotations")
    of = parser.parse_args()
    found = best(stored_layers(of.root, of.checkpoint), of.seed)
    excess, true, turned = (
        np.concatenate([getattr(each, kind) for each in found.values()])
        for kind in ("excess", "true", "rotated")
    )
    print(f"{len(excess):,} neurons of {', '.join(found)}; seed {of.seed}:")
    print(f"universal, by more than {UNIVERSAL}: {np.count_nonzero(excess > UNIVERSAL)}")
    print(f"excess: {excess.max():.2f} at most, 99th percentile {np.quantile(excess, 0.99):.2f}")
    print(f"greatest correlation: {true.mean():.2f} in the mean, {turned.mean():.2f} with rotated neurons")


if __name__ == "__main__":
    main()
