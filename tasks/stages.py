"""All stages, in the order of their dependencies.

A further stage is a module and a line here.
"""

from collections.abc import Iterable, Mapping

from spanmatch.errors import InputValueError
from storage.inventory import STAGING, Kind
from tasks import (
    exemplars,
    matches,
    measures,
    networks,
    permuting,
    profiles,
    reduction,
    segments,
    streamed,
    streamed_null,
)
from tasks.passing import either
from tasks.stage import GROUP, Stage


def registered(stages: Iterable[Stage]) -> Mapping[str, Stage]:
    """Return stages by name.

    Raises
    ------
    InputValueError
        If two have one name.
    """
    found: dict[str, Stage] = {}
    for stage in stages:
        if stage.name in found:
            raise InputValueError(
                f"`STAGES` must hold each stage once, got {stage.name!r} twice; give one of them another name"
            )
        found[stage.name] = stage
    return found


STAGES = registered(
    (
        networks.STAGE,
        segments.STAGE,
        either(reduction.STAGE, streamed.STREAMED),
        either(permuting.STAGE, streamed_null.STREAMED),
        profiles.STAGE,
        matches.STAGE,
        measures.STAGE,
        exemplars.STAGE,
    )
)

SETTINGS = Kind("settings", (("cache/settings/{}", ""),))
TRAINING = Kind("training", (("training/{}.safetensors", ""),))
_GRAMS = Kind("grams", (("grams/{}.zarr", GROUP),), recorded=True)  # of earlier versions

KINDS = (STAGING, SETTINGS, TRAINING, *(stage.kind for stage in reversed(tuple(STAGES.values()))), _GRAMS)
"""All that is kept by key, in the order in which it is cleared: what stands on others first."""
