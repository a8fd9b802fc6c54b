"""Stage *profiles*: every neuron's critical epsilon for one layer in two networks."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import TypedDict

from spanmatch import MatchProfile, OffsetWarning, TooFewSamplesWarning, match_profile
from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.root import Root, Stage
from tasks.grams import read_gram
from tasks.progress import advance
from tasks.unit import Unit

_ARRAYS = ("x", "y", "x_bounds", "y_bounds")


class ProfileRecord(TypedDict):
    """A stored match profile: the cached result of the stage."""

    path: str
    digest: str


@dataclass(frozen=True)
class ProfileUnit(Unit):
    """The match profile of one Gram matrix."""

    stage: ClassVar[Stage] = "profiles"
    version: ClassVar[int] = 3

    gram: Artefact

    def identity(self) -> dict[str, Any]:
        """Return the Gram matrix's content."""
        return {"gram": self.gram.digest}


def peel(root: Root, unit: ProfileUnit) -> ProfileRecord:
    """Find and publish the critical epsilons and their certificate."""
    gram = read_gram(root, unit.gram)
    with warnings.catch_warnings():
        for category in (TooFewSamplesWarning, OffsetWarning):
            warnings.simplefilter("ignore", category)  # the run says so once for each layer
        profile = match_profile(gram)
    target = root.artefact("profiles", unit.key)
    with root.publish(target) as folder:
        writer = GroupWriter(folder, {})
        for name in _ARRAYS:
            writer.write(name, getattr(profile, name))
        digest = writer.finish()
    advance("profiles", unit.key, 1)
    return {"path": target, "digest": digest}


def read_profile(root: Root, artefact: Artefact) -> MatchProfile:
    """Read a stored match profile.

    Raises
    ------
    DamagedArtefactError
        If it is not what was written.
    """
    group = GroupReader(root, artefact)
    return MatchProfile(**{name: group.read(name) for name in _ARRAYS})
