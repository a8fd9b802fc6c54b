"""The data set of a unit on a worker, checked against the digest that the unit was planned with.

A worker may have loaded it for an earlier run, before it changed.
"""

from typing import Literal

from spanmatch import networks
from spanmatch.errors import SpanmatchError
from spanmatch.networks.datasource import DataSource


def load_planned(source: DataSource, digest: str, part: Literal["whole", "held-out"]) -> "networks.Dataset":
    """Load a data set, anew if what this process has of it is not what was planned with.

    Images in files are read when they are used, and are not digested again here.

    Raises
    ------
    SpanmatchError
        If it is other data than was planned with.
    """
    dataset = networks.load_source(source)
    if _is_other(dataset, digest, part):
        networks.forget_datasets()
        dataset = networks.load_source(source)
    if _is_other(dataset, digest, part):
        raise SpanmatchError(
            "`dataset` must give the same samples whenever it is loaded, and on every worker, got others "
            f"from {source.name!r}; see that nothing in it is drawn anew, and bring workers to one state"
        )
    return dataset


def _is_other(dataset: "networks.Dataset", digest: str, part: Literal["whole", "held-out"]) -> bool:
    if any(images.in_files for images in dataset.parts):
        return False
    return (dataset if part == "whole" else dataset.held_out).digest != digest
