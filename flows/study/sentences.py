"""What a study's file breaks, in sentences: argument, rule, value, remedy."""

import difflib

from pydantic import AliasChoices, BaseModel
from pydantic_core import ErrorDetails

from flows.study.values import FolderPreprocessing, Permutations, Training


def sentence(error: ErrorDetails, study: type[BaseModel]) -> str:
    """Return one sentence for one broken rule.

    Parameters
    ----------
    error
        As pydantic has it.
    study
        The model whose rule it is.
    """
    place = [str(part) for part in error["loc"] if isinstance(part, str)] or ["STUDY"]
    name = f"`{'.'.join(place)}`"
    if place[-1] == "[key]":
        return (
            f"`{place[0]}` must have names of lower-case letters, digits and single dashes, got "
            f"{error['input']!r}; choose another"
        )
    if error["type"] == "extra_forbidden":
        return _of_unknown(place, study)
    if error["type"] == "missing":
        return f"{name} is missing; a study must have it, see studies/digits.yaml"
    if error["type"] == "value_error":
        said = str(error["ctx"]["error"])
        return said if said.startswith("`") else f"{name} {said}"
    rule = error["msg"].replace("Input should be", "must be").replace("String should", "must")
    rule = rule.replace("List should", "must")
    return f"{name} {rule}, got {error['input']!r}; see studies/digits.yaml"


def _of_unknown(place: list[str], study: type[BaseModel]) -> str:
    """Say of a key that it is none, or that the same key is there by its other name."""
    inner: dict[str, type[BaseModel]] = {
        "training": Training,
        "preprocessing": FolderPreprocessing,
        "null": Permutations,
    }
    names = key_names(inner.get(place[0], study) if len(place) > 1 else study)
    *before, key = place
    name = f"`{'.'.join(place)}`"
    if (same := names.get(key)) is not None:
        return f"{name} is the same key as `{'.'.join([*before, same])}`, which is given too; keep one"
    near = difflib.get_close_matches(key, names, n=1)
    remedy = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(names)}"
    return f"{name} is not a key of a study; {remedy}"


def key_names(model: type[BaseModel]) -> dict[str, str]:
    """Return all names of keys, each with the one that a key is kept by."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        also = alias.choices if isinstance(alias, AliasChoices) else []
        names |= {str(each): name for each in (name, *also)}
    return names
