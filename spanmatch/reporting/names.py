"""A network's name as figures, tables and the terminal show it."""

import re

__all__ = ["shown_network"]

_SEED = re.compile(r"seed(\d+)", re.ASCII)


def shown_network(network: str) -> str:
    """Write the name of a network for people: ``seed 0`` for ``seed0``, any other as it is."""
    return _SEED.sub(r"seed \1", network) if _SEED.fullmatch(network) else network
