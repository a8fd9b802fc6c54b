"""What a comparison is made of."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.pairs import Column, ComparedLayer, Pair, is_pair
from spanmatch.errors import InputTypeError, InputValueError, unknown_name


@dataclass(frozen=True, eq=False)
class Compared:
    """Layers, pairs of them, and their statistic.

    Attributes
    ----------
    layers
        Of each network, in the order of its forward pass.
    pairs
        Which are compared.
    samples
        Of the loader.
    positions
        Which positions of a map are samples, in words.
    folds
        Parts of which the sums are apart; 0 for one.
    notes
        What was done without being asked for, and what was left out.
    sums
        Of layers that pairs connect.
    minibatch_cka
        Of each pair, None where it is undefined; None where it was not asked for.
    """

    layers: Mapping[str, tuple[ComparedLayer, ...]]
    pairs: tuple[Pair, ...]
    samples: int
    positions: str
    folds: int
    notes: tuple[str, ...]
    sums: tuple[GroupSums, ...]
    minibatch_cka: Mapping[Pair, float | None] | None

    def sentence(self) -> str:
        """Say what was compared."""
        layers = " and ".join(f"{len(layers)} layers of {name}" for name, layers in self.layers.items())
        return (
            f"{layers}: {len(self.pairs):,} pairs, over {self.samples:,} samples, {self.positions}"
            f"{f', in {self.folds} folds' if self.folds else ''}."
        )

    def two(self, networks: tuple[str, str] | None) -> tuple[str, str]:
        """Return the names of two networks; of the first two where none are asked for.

        Raises
        ------
        TypeError, ValueError
            If there are no such networks, or they are in another order.
        """
        known = tuple(self.layers)
        if networks is None:
            return known[0], known[1]
        if not is_pair(networks):
            raise InputTypeError(f"`networks` must be two names, got {networks!r}; such as {known[:2]}")
        x, y = networks
        for name in (x, y):
            if name not in known:
                raise unknown_name("networks", name, known)
        if known.index(x) >= known.index(y):
            raise InputValueError(
                f"`networks` must be two in the order of the call, {', '.join(known)}; got {x!r} and {y!r}"
            )
        return x, y

    def pair(self, layer_x: str, layer_y: str, networks: tuple[str, str] | None) -> Pair:
        """Return the pair of two layers of two networks, the first two where none are asked for.

        Raises
        ------
        TypeError, ValueError
            If they are not compared.
        """
        x, y = self.two(networks)
        for name, network in ((layer_x, x), (layer_y, y)):
            known = [layer.name for layer in self.layers[network]]
            if name not in known:
                raise unknown_name("layer", name, known)
        pair = Pair(Column(x, layer_x), Column(y, layer_y))
        if pair not in self.pairs:
            raise InputValueError(
                f"`pairs` must hold the layers that are asked for, but {pair.x} and {pair.y} were not "
                'compared; name them in `pairs`, or use pairs="grid"'
            )
        return pair

    def chosen(self, layers: tuple[str, str] | None, networks: tuple[str, str] | None) -> list[Pair]:
        """Return the pairs of two layers, of two networks, where these are asked for.

        Raises
        ------
        TypeError, ValueError
            If they are not compared.
        """
        of = None if networks is None else self.two(networks)
        pairs = [pair for pair in self.pairs if of is None or (pair.x.network, pair.y.network) == of]
        if layers is None:
            return pairs
        asked = tuple(layers) if is_pair(layers) else None
        known = {" ".join(names): names for pair in pairs if (names := (pair.x.layer, pair.y.layer))}
        if asked not in known.values():
            near = difflib.get_close_matches(" ".join(asked), known, n=1, cutoff=0) if asked else [*known]
            error = InputValueError if asked else InputTypeError
            raise error(
                f"`layers` must be names of two layers that are compared, got {layers!r}; such as "
                f"{known[near[0]]}"
            )
        return [pair for pair in pairs if (pair.x.layer, pair.y.layer) == asked]
