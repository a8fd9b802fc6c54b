"""A study with further seeds, images, checkpoints, layers or ε, by a pure function."""

from collections.abc import Sequence

from flows.study.kept import union
from flows.study.model import Study, validated
from spanmatch.errors import InputValueError


def grown(
    study: Study,
    *,
    seeds: Sequence[int] = (),
    more_seeds: int = 0,
    images: int | None = None,
    checkpoints: Sequence[str] = (),
    layers: Sequence[str] = (),
    epsilons: Sequence[float] = (),
) -> Study:
    """Return the study with what is added; what it has already changes nothing.

    Parameters
    ----------
    study
        What to extend.
    seeds
        Further seeds.
    more_seeds
        So many seeds beyond the highest that the study has then.
    images
        How many held-out images to compare in all.
    checkpoints, layers, epsilons
        Further ones.

    Raises
    ------
    ValueError
        If that breaks a rule of the study, or would take something away.
    """
    if images is not None and (study.images == "all" or images < study.images):
        message = (
            f"`images` must be at least {study.images}, which are compared already, got {images}; "
            "give a larger number, or leave it out"
        )
        raise InputValueError(message)
    all_seeds = union(study.seeds, seeds)
    following = max(all_seeds, default=-1) + 1
    values = study.model_dump()
    values["seeds"] = [*all_seeds, *range(following, following + more_seeds)]
    values["images"] = images or study.images
    values["checkpoints"] = union(study.checkpoints, checkpoints)
    values["layers"] = union(study.layers, layers)
    values["epsilons"] = [*study.epsilons, *epsilons]
    return validated(values, source=f"the extension of {study.name}")
