"""Names and numbers as figures, tables and the terminal show them."""

import re

__all__ = ["count_of", "paired_layers", "shown_network", "split_layers"]

_BETWEEN = " ~ "
_SEED = re.compile(r"seed(\d+)", re.ASCII)


def shown_network(network: str) -> str:
    """Write the name of a network for people: ``seed 0`` for ``seed0``, any other as it is."""
    return _SEED.sub(r"seed \1", network) if _SEED.fullmatch(network) else network


def paired_layers(layer_x: str, layer_y: str) -> str:
    """Write two layers that are compared as one: their name, or both where they are two."""
    return layer_x if layer_x == layer_y else f"{layer_x}{_BETWEEN}{layer_y}"


def split_layers(layers: str) -> tuple[str, str]:
    """Return the two layers that `paired_layers` wrote as one, x's first."""
    x, _, y = layers.partition(_BETWEEN)
    return x, y or x


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith('match') else 's'}"
