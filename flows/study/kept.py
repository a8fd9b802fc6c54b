"""The studies that have run under a root: `study.json` of the last finished run, and each by its name.

A root that has been extended holds more than its study file says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from flows.study.file import read_study
from flows.study.model import Study, validated
from flows.study.resolved import Resolved
from flows.study.values import LayerPairs
from spanmatch.errors import InputValueError
from storage.result_files import STUDIES, STUDY, write_json
from storage.root import Root, is_url

# What an earlier version called what studies stand on.
_CALLED_NOW = {"held-out images": "held-out samples"}
# What must be as it was: with anything else in one of these, nothing that is there would be reused.
_FIXED = (
    "dataset",
    "preprocessing",
    "held_out",
    "architecture",
    "width",
    "training",
    "segment_images",
    "positions",
    "positions_seed",
    "dtype",
)

_SUFFIX = ".json"


class Kept(BaseModel):
    """The study as it was last compared.

    Attributes
    ----------
    study
        Its `root` is where it was then: a root may be moved.
    digests
        Of the data, weights and code that it stands on, each under what messages call it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: Study
    digests: dict[str, str]


class LookedUp(Kept):
    """The same with all that the study refers to: it can be planned where neither data nor torch are.

    Attributes
    ----------
    resolved
        Layers, digests and sizes; None where another version wrote it, in another form.
    """

    resolved: Resolved | None

    @property
    def kept(self) -> Kept:
        """The study alone."""
        return Kept(study=self.study, digests=self.digests)

    @field_validator("resolved", mode="wrap")
    @classmethod
    def _of_this_version(cls, value: object, validate: ValidatorFunctionWrapHandler) -> Resolved | None:
        try:
            resolved: Resolved | None = validate(value)
        except ValidationError:
            return None
        return resolved


KeptKind = TypeVar("KeptKind", bound=Kept)


def keep(root: Root, study: Study, resolved: Resolved) -> None:
    """Write down what was compared, once its results are written."""
    kept = stands_on(study, resolved)
    looked_up = LookedUp(study=kept.study, digests=kept.digests, resolved=resolved)
    write_json(root, _place(study.name), looked_up.model_dump(mode="json"))
    write_json(root, STUDY, kept.model_dump(mode="json"))


def kept_studies(root: Root) -> list[str]:
    """Return the names of all studies that have run under a root."""
    return sorted(name.removesuffix(_SUFFIX) for name in root.place.names(STUDIES) if name.endswith(_SUFFIX))


def read_looked_up(root: Root, name: str) -> LookedUp | None:
    """Return what the last finished run of a study left of it; None where versions before left nothing.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    return _read(root, _place(name), LookedUp)


def stands_on(study: Study, resolved: Resolved) -> Kept:
    """Return a study as it is kept, with the digests of what it stands on."""
    lasting = study.model_copy(update={"scheduler": None})  # an address is gone tomorrow
    return Kept(study=lasting, digests=_digests(resolved))


def read_kept(root: Root) -> Kept | None:
    """Return what the root's last finished run compared, or None where none has finished.

    Raises
    ------
    ValueError
        If its account cannot be read.
    """
    return _read(root, STUDY, Kept)


def _place(name: str) -> str:
    return f"{STUDIES}/{name}{_SUFFIX}"


def _read(root: Root, file: str, kind: type[KeptKind]) -> KeptKind | None:
    try:
        return kind.model_validate_json(root.read(file))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        reason = " ".join(str(error).split())
        message = (
            f"`root` must hold a {file} that a run wrote, but {root.where(file)!r} is none ({reason}); "
            "remove it, and run the study from its file"
        )
        raise InputValueError(message) from None


def find_study(where: str) -> tuple[Study, Kept | None]:
    """Return the study of a YAML file or of a root, joined with what its root's last run compared.

    Parameters
    ----------
    where
        The file's path; or the root, a folder or URL, where a run has finished.

    Raises
    ------
    ValueError, TypeError
        If there is none, or file and root contradict each other.
    """
    if is_url(where) or Path(where).expanduser().is_dir():
        root = Root.at(where)
        root.check()
        kept = read_kept(root)
        if kept is None:
            message = (
                f"`study` must be a study's YAML file, or a root where a run has finished, got {where!r}, "
                "which has no study.json; run the study first"
            )
            raise InputValueError(message)
        return kept.study.model_copy(update={"root": where}), kept
    path = Path(where).expanduser()
    if not path.is_file():
        message = (
            f"`study` must be a study's YAML file, or a root where a run has finished, got {where!r}, which "
            f"is neither where this runs (in {str(Path.cwd())!r}); correct the path, or put the file back"
        )
        raise InputValueError(message)
    return joined(read_study(path))


def joined(study: Study) -> tuple[Study, Kept | None]:
    """Join a study with what its root's last run compared beside it, if that was the same study.

    Raises
    ------
    ValueError
        If the root's study of that name is another.
    """
    root = Root.at(study.root)
    root.check()
    kept = read_kept(root)
    if kept is None or kept.study.name != study.name:
        return study, None
    _require_same(study, kept.study, root)
    values = study.model_dump()
    for name in ("seeds", "checkpoints", "layers", "compare", "centre", "measures", "epsilons"):
        values[name] = union(getattr(study, name), getattr(kept.study, name))
    permutations = (study.null.permutations, kept.study.null.permutations)
    asked = [number for number in permutations if number is not None]
    values["null"] = {**values["null"], "permutations": max(asked) if len(asked) == 2 else None}
    for name in ("weights", "others"):
        values[name] = {**getattr(kept.study, name), **values[name]}
    values["pairs"] = _joined_pairs(study, kept.study, root)
    counts = (study.images, kept.study.images)
    values["images"] = "all" if "all" in counts else max(counts)
    return validated(values, source=f"{study.name} joined with {root.where(STUDY)}"), kept


def _joined_pairs(study: Study, kept: Study, root: Root) -> LayerPairs:
    """Return all pairs of layers of both: those of one name are on a grid, and lists hold one another's."""
    both = (study.pairs, kept.pairs)
    if isinstance(study.pairs, list) and isinstance(kept.pairs, list):
        return [*study.pairs, *(pair for pair in kept.pairs if pair not in study.pairs)]
    if "grid" in both and "same" in both:
        return "grid"
    _require_equal("pairs", *both, root)
    return study.pairs


def require_same_data(kept: Kept, resolved: Resolved) -> None:
    """See that data, weights and code are those that the last run stood on.

    Raises
    ------
    ValueError
        If not.
    """
    now = _digests(resolved)
    for earlier, digest in kept.digests.items():
        what = _CALLED_NOW.get(earlier, earlier)
        if now.get(what, digest) != digest:
            message = (
                f"`study` must stand on the same {what} as its last run, got other content (digest "
                f"{now[what][:12]}…, was {digest[:12]}…); put back what was there, or run the changed study "
                "under another root"
            )
            raise InputValueError(message)


def union(values: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    """Return the values and those of the others that are not among them, in that order."""
    return list(dict.fromkeys([*values, *more]))


def _require_same(study: Study, kept: Study, root: Root) -> None:
    for name in _FIXED:
        _require_equal(name, getattr(study, name), getattr(kept, name), root)
    for name in ("weights", "others"):
        ours, theirs = getattr(study, name), getattr(kept, name)
        for key in filter(theirs.__contains__, ours):
            _require_equal(f"{name}.{key}", ours[key], theirs[key], root)


def _require_equal(name: str, wanted: object, there: object, root: Root) -> None:
    if wanted != there:
        message = (
            f"`{name}` must be as in what is there, {_shown(there)} (in {root.where(STUDY)!r}), got "
            f"{_shown(wanted)}; give the changed study another root or another name"
        )
        raise InputValueError(message)


def _shown(value: object) -> str:
    return repr(value.model_dump()) if isinstance(value, BaseModel) else repr(value)


def _digests(resolved: Resolved) -> dict[str, str]:
    found: Mapping[str, str] = {
        "training data": resolved.dataset_digest,
        "held-out samples": resolved.held_out_digest,
        "architecture's module": resolved.code,
        **{f"weights of {name}": digest for name, digest in resolved.weights.items()},
        **{f"training data of {name}": other.dataset_digest for name, other in resolved.others.items()},
        **{
            f"weights of {name}/{given}": digest
            for name, other in resolved.others.items()
            for given, digest in other.weights.items()
        },
    }
    return dict(found)
