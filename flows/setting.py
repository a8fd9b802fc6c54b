"""What a study refers to by name, looked up.

Apart from the plan so that checks of a study load little.
"""

from typing import NamedTuple


class Setting(NamedTuple):
    """What a study refers to by name, looked up: its layers, and the digests of its data."""

    layers: tuple[str, ...]
    dataset_digest: str
    held_out_digest: str
