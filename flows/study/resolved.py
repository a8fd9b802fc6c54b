"""The content of what a study refers to by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from flows.study.model import Study
from spanmatch.reporting import Terms


class Shape(NamedTuple):
    """What a layer gives for one image.

    Attributes
    ----------
    map
        Sizes of the dimensions that are positions; none where there is one position.
    neurons
        How many there are.
    """

    map: tuple[int, ...]
    neurons: int

    @property
    def shown(self) -> str:
        """The same for people."""
        return f"{' × '.join(map(str, self.map)) or 'one'} position{'s' * bool(self.map)}"


@dataclass(frozen=True)
class Resolved:
    """What a study refers to by name, looked up.

    Attributes
    ----------
    layers
        Layers that are compared, in the order of the forward pass.
    dataset_digest
        Digest of the images that networks train on, those held out included.
    held_out_digest
        Digest of the images whose activations are compared.
    held_out
        How many of these there are.
    neurons
        For layers of which the study says it, the dimension of the output that is the neurons.
    shapes
        Of the layers.
    code
        Digest of the module that builds the networks where that is the user's own, otherwise empty.
    weights
        For each network that is trained already the digest of its file.
    others
        The other studies by name, each looked up in the same way.
    left_out
        Layers that the study asks for and that are not compared, each with the reason in words.
    terms
        What samples are called and networks judged by, as `spanmatch.reporting.Terms` has it, by name;
        nothing of images that are classified.
    foreseeing
        Whether networks that are given see the tokens that they were to predict: they are not judged.
    """

    layers: tuple[str, ...]
    dataset_digest: str
    held_out_digest: str
    held_out: int
    neurons: Mapping[str, Literal["last"] | int] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    code: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, "ResolvedOther"] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)
    foreseeing: bool = False

    @property
    def items(self) -> str:
        """What samples are called."""
        return Terms(**self.terms).items


@dataclass(frozen=True)
class ResolvedOther:
    """Another study whose networks are compared, with the same digests, and its own layers."""

    study: Study
    dataset_digest: str
    code: str
    weights: Mapping[str, str] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    neurons: Mapping[str, Literal["last"] | int] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
