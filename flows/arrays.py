"""`spanmatch match`: two `.npy` files in, matches out; no study and no pipeline.

Apart so that it loads the mathematics alone.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from spanmatch import GramMatrix, Match, SimpleMatch, TooFewSamplesWarning, match_profile, simple_matches
from spanmatch.errors import InputTypeError, InputValueError


@dataclass(frozen=True)
class ArrayMatches:
    """What two arrays have in common at one ε."""

    epsilon: float
    similarity: float
    maximum: Match
    simple: tuple[SimpleMatch, ...]


@dataclass(frozen=True)
class ArrayComparison:
    """Two arrays compared at several ε, with what must be said about them."""

    samples: int
    neurons_x: int
    neurons_y: int
    dead_x: tuple[int, ...]
    dead_y: tuple[int, ...]
    warnings: tuple[str, ...]
    matches: tuple[ArrayMatches, ...]


def match_arrays(x: Path, y: Path, epsilons: Sequence[float]) -> ArrayComparison:
    """Match the arrays of two `.npy` files, each (samples, neurons).

    Raises
    ------
    ValueError, TypeError
        If a file cannot be read, the arrays do not fit each other, hold NaN, or an ε is out of [0, 1).
    """
    for epsilon in epsilons:
        if not 0 <= epsilon < 1:
            message = f"`--epsilon` must lie in [0, 1), got {epsilon}; the paper uses 0.15 to 0.5"
            raise InputValueError(message)
    gram = GramMatrix.from_activations(_load("X.npy", x), _load("Y.npy", y))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TooFewSamplesWarning)
        profile = match_profile(gram)
        matches = tuple(
            ArrayMatches(
                epsilon,
                profile.similarity(epsilon),
                profile.maximum_match(epsilon),
                tuple(simple_matches(gram, epsilon=epsilon)),
            )
            for epsilon in sorted(set(epsilons))
        )
    return ArrayComparison(
        samples=gram.n_samples,
        neurons_x=gram.n_x,
        neurons_y=gram.n_y,
        dead_x=tuple(gram.dead_x.tolist()),
        dead_y=tuple(gram.dead_y.tolist()),
        warnings=tuple(dict.fromkeys(str(warning.message) for warning in caught)),
        matches=matches,
    )


def show_matches(console: Console, found: ArrayComparison) -> None:
    """Print the maximum match and the simple matches at each ε."""

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    say(f"{found.samples} samples; {found.neurons_x} neurons in X, {found.neurons_y} in Y")
    for side, dead in (("X", found.dead_x), ("Y", found.dead_y)):
        if dead:
            say(f"dead neurons in {side} (never matched, still counted): {_indices(dead)}")
    for warning in found.warnings:
        say(f"warning: {warning}", style="yellow")
    for at in found.matches:
        say("")
        say(f"ε = {at.epsilon:g}: maximum match similarity {at.similarity:.6g}", style="bold")
        say(f"  maximum match      {_sets(at.maximum)}")
        for simple in at.simple:
            side, index = simple.neuron
            say(f"  simple match       {_sets(simple.match)}   minimal for {side}{index}")


def show_json(found: ArrayComparison) -> None:
    """Print everything as one JSON document."""
    document: dict[str, Any] = {
        "samples": found.samples,
        "neurons_x": found.neurons_x,
        "neurons_y": found.neurons_y,
        "dead_x": found.dead_x,
        "dead_y": found.dead_y,
        "warnings": found.warnings,
        "matches": [
            {
                "epsilon": at.epsilon,
                "similarity": at.similarity,
                "x": at.maximum.x.tolist(),
                "y": at.maximum.y.tolist(),
                "simple_matches": [
                    {"neuron": simple.neuron, "x": simple.match.x.tolist(), "y": simple.match.y.tolist()}
                    for simple in at.simple
                ],
            }
            for at in found.matches
        ],
    }
    print(json.dumps(document, indent=2))  # noqa: T201 - a document for another program, not a screen


def _load(argument: str, path: Path) -> NDArray[Any]:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        message = (
            f"`{argument}` must be an array that numpy.save wrote, without Python objects, got {str(path)!r} "
            f"({error}); write it with numpy.save"
        )
        raise InputValueError(message) from None
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        message = f"`{argument}` must hold one array, got the archive {str(path)!r}; write it with numpy.save"
        raise InputTypeError(message)
    return loaded


def _sets(match: Match) -> str:
    return f"X {_indices(match.x.tolist())}  Y {_indices(match.y.tolist())}"


def _indices(indices: Sequence[int]) -> str:
    return "{" + ", ".join(str(index) for index in indices) + "}"
