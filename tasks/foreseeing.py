"""How many bytes things take before they are there: what several stages reckon with."""

from collections.abc import Collection

# Of a pack: the name, type and place of an array in its header, and a record beside it.
_HEADER_BYTES = 150
_RECORD_BYTES = 160
# `Moments.arrays`: products, two means, counts, and row moments.
_MOMENTS_ARRAYS = 7


def moments_bytes(neurons_x: int, neurons_y: int, folds: int) -> int:
    """Return the bytes of co-moments of two layers by fold, as `tasks.statistic.content_of` makes them."""
    one = neurons_x * neurons_y + 3 * (neurons_x + neurons_y) + 5
    return 8 * max(folds, 1) * one


def strongest_bytes(neurons: int, count: int, dtype: str) -> int:
    """Return the bytes of so many strongest samples of each neuron: numbers, activations and positions."""
    return neurons * count * (8 + (8 if dtype == "float64" else 4) + 8)


def kept_bytes(content: int, arrays: int = _MOMENTS_ARRAYS) -> int:
    """Return the bytes of a unit in a pack with its record, given those of its arrays."""
    return content + arrays * _HEADER_BYTES + _RECORD_BYTES


def statistic_bytes(neurons_x: int, neurons_y: int, folds: int) -> int:
    """Return the bytes of a pair's statistic: either layer's own part, and the cross part."""
    parts = ((neurons_x, neurons_x), (neurons_y, neurons_y), (neurons_x, neurons_y))
    return sum(moments_bytes(*part, folds) for part in parts)


def numbers_bytes(counts: Collection[int]) -> int:
    """Return the bytes of a record of lists of numbers as text, given how many each list holds."""
    return 120 + 21 * sum(counts)
