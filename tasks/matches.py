"""Stage *matches*: maximum match and simple matches of one layer in two networks at one tolerance."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from typing_extensions import TypedDict

from spanmatch import OffsetWarning, TooFewSamplesWarning, offset_neurons, simple_matches
from storage.arrays import Artefact
from storage.documents import publish_document, read_document
from storage.root import Root, Stage
from tasks.grams import read_gram
from tasks.profiles import read_profile
from tasks.progress import advance
from tasks.unit import Unit


class MatchRecord(TypedDict):
    """Stored matches: the cached result of the stage."""

    path: str
    digest: str


class SimpleMatchDocument(TypedDict):
    """One simple match, and a neuron for which it is minimal."""

    neuron: tuple[str, int]
    x: list[int]
    y: list[int]


class MatchDocument(TypedDict):
    """What is stored: the maximum match with its similarity, and the simple matches."""

    epsilon: float
    similarity: float
    x: list[int]
    y: list[int]
    neurons_x: int
    neurons_y: int
    dead_x: int
    dead_y: int
    offset_x: int
    offset_y: int
    samples: int
    simple_matches: list[SimpleMatchDocument]


@dataclass(frozen=True)
class MatchUnit(Unit):
    """The matches of one Gram matrix at one ε."""

    stage: ClassVar[Stage] = "matches"
    version: ClassVar[int] = 3

    gram: Artefact
    profile: Artefact
    epsilon: float

    def identity(self) -> dict[str, Any]:
        """Return the Gram matrix's and the profile's content, and ε."""
        return {"gram": self.gram.digest, "profile": self.profile.digest, "epsilon": self.epsilon}


def find_matches(root: Root, unit: MatchUnit) -> MatchRecord:
    """Find and publish the maximum match and its simple matches."""
    profile = read_profile(root, unit.profile)
    maximum = profile.maximum_match(unit.epsilon)
    gram = read_gram(root, unit.gram)
    with warnings.catch_warnings():
        for category in (TooFewSamplesWarning, OffsetWarning):
            warnings.simplefilter("ignore", category)  # the run says so once for each layer
        found = simple_matches(gram, epsilon=unit.epsilon, profile=profile)
    offset = offset_neurons(gram, epsilon=unit.epsilon)
    document: MatchDocument = {
        "epsilon": unit.epsilon,
        "similarity": profile.similarity(unit.epsilon),
        "x": maximum.x.tolist(),
        "y": maximum.y.tolist(),
        "neurons_x": gram.n_x,
        "neurons_y": gram.n_y,
        "dead_x": len(gram.dead_x),
        "dead_y": len(gram.dead_y),
        "offset_x": offset.x.size,
        "offset_y": offset.y.size,
        "samples": gram.n_samples,
        "simple_matches": [
            {"neuron": simple.neuron, "x": simple.match.x.tolist(), "y": simple.match.y.tolist()}
            for simple in found
        ],
    }
    digest = publish_document(root, "matches", unit.key, cast("dict[str, Any]", document))
    advance("matches", unit.key, 1)
    return {"path": root.artefact("matches", unit.key), "digest": digest}


def read_matches(root: Root, key: str, digest: str) -> MatchDocument:
    """Read stored matches.

    Raises
    ------
    DamagedArtefactError
        If they are not what was written.
    """
    return cast("MatchDocument", read_document(root, "matches", key, digest))
