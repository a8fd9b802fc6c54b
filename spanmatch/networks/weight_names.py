"""Names of weights in a file, matched to those of a network that was wrapped in training.

A prefix is taken off only where exactly the network's names are left.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Values = TypeVar("Values")

# Batch normalisation's count of batches: absent from old files, and not read in evaluation.
_COUNTER = "num_batches_tracked"
# Where torch puts what a module's get_extra_state returns: a tensor, or anything else.
_EXTRA_STATE = "_extra_state"
# Parts of names that torch's wrappers add, at the front or in the middle.
_COMPILED = frozenset({"_orig_mod"})
_WRAPPERS = _COMPILED | {"module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# So many of the network's names are looked for in the file's to find a prefix: one of several that share a
# tensor may be absent.
_LOOKED_FOR = 8


@dataclass(frozen=True)
class Names:
    """A network's names.

    Attributes
    ----------
    wanted
        All of them.
    tied
        For each of a tensor that has several names, all of these: a file may hold one alone.
    optional
        Names that may be there.
    """

    wanted: Collection[str]
    tied: Mapping[str, Collection[str]]
    optional: Collection[str] = ()

    def missing(self, found: Collection[str]) -> list[str]:
        """Return the names that must be there and are not."""
        return [
            name
            for name in self.wanted
            if not name.endswith(_COUNTER)
            and not any(other in found for other in self.tied.get(name, [name]))
        ]

    def unexpected(self, found: Iterable[str]) -> list[str]:
        """Return the names that the network does not have."""
        return [name for name in found if name not in self.wanted and name not in self.optional]

    def wrong(self, found: Collection[str]) -> int:
        """Return how many are missing or unexpected."""
        return len(self.missing(found)) + len(self.unexpected(found))


def fitting_or_nearest(weights: Mapping[str, Values], names: Names) -> dict[str, dict[str, Values]]:
    """Take off the weights' names what leaves the network's, or the fewest missing, unexpected or left out.

    Returns
    -------
    weights
        Under their names then, by what every name began with: all parts of the weights that have the
        network's names, or else the one that comes nearest to that.
    """
    best = dict(weights)
    for parts in (frozenset[str](), _COMPILED, _WRAPPERS):
        bare = _without(weights, parts)
        if len(bare) < len(weights):
            break  # two names became one
        below = {prefix: _below(bare, prefix) for prefix in ("", *_prefixes(bare, names.wanted))}
        fitting = {prefix: found for prefix, found in below.items() if not names.wrong(found)}
        if fitting:
            return fitting
        best = min([best, *below.values()], key=lambda one: names.wrong(one) + len(weights) - len(one))
    return {"": best}


def is_extra_state(name: object) -> bool:
    """Tell whether torch puts a module's extra state under a name."""
    return isinstance(name, str) and name.rpartition(".")[2] == _EXTRA_STATE


def common_beginning(names: Collection[str]) -> str:
    """Return the whole parts, with their dots, that all names begin with."""
    shared = []
    for parts in zip(*(name.split(".")[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(f"{parts[0]}.")
    return "".join(shared)


def _without(weights: Mapping[str, Values], parts: Collection[str]) -> dict[str, Values]:
    return {
        ".".join(part for part in name.split(".") if part not in parts): values
        for name, values in weights.items()
    }


def _prefixes(found: Collection[str], wanted: Iterable[str]) -> list[str]:
    """Return what stands before the network's names, wherever something does."""
    return list(
        dict.fromkeys(
            name.removesuffix(one)
            for one in islice(wanted, _LOOKED_FOR)
            for name in found
            if name.endswith(f".{one}")
        )
    )


def _below(weights: Mapping[str, Values], prefix: str) -> dict[str, Values]:
    return {name.removeprefix(prefix): values for name, values in weights.items() if name.startswith(prefix)}
