"""`spanmatch match`: two files of activations in, matches out; no study and no pipeline."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from spanmatch import (
    GramMatrix,
    Match,
    OffsetWarning,
    SimpleMatch,
    TooFewSamplesWarning,
    match_profile,
    simple_matches,
)
from spanmatch.command.activation_files import gram_of_files
from spanmatch.errors import SpanmatchError
from spanmatch.matching.checks import check_epsilon


@dataclass(frozen=True)
class ArrayMatches:
    """What two arrays have in common at one ε."""

    epsilon: float
    similarity: float
    maximum: Match
    uncertain: Match
    interval: tuple[float, float]
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
    """Match the arrays of two `.npy` or `.npz` files, each (samples, neurons).

    Raises
    ------
    ValueError, TypeError
        As `gram_of_files`, and if an ε is out of [0, 1).
    SpanmatchError
        If there is not memory enough, or a file cannot be read to its end.
    """
    for epsilon in epsilons:
        check_epsilon(epsilon, argument="--epsilon")
    try:
        return _matched(gram_of_files(x, y), epsilons)
    except MemoryError as error:
        message = (
            "`X` and `Y` must have few enough neurons for their products to fit into memory, but there was "
            f"none left ({error}); save fewer columns, or take a machine with more memory"
        )
        raise SpanmatchError(message) from None
    except OSError as error:
        message = (
            f"`X` and `Y` must be files that can be read to their end, got {error.filename!r} "
            f"({error.strerror}); see to their disk, and that nothing writes them"
        )
        raise SpanmatchError(message) from None


def _matched(gram: GramMatrix, epsilons: Sequence[float]) -> ArrayComparison:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TooFewSamplesWarning)
        warnings.simplefilter("ignore", OffsetWarning)  # said at each ε
        profile = match_profile(gram)
        warnings.simplefilter("always", OffsetWarning)
        matches = tuple(
            ArrayMatches(
                epsilon,
                profile.similarity(epsilon),
                profile.maximum_match(epsilon),
                profile.uncertain(epsilon),
                profile.similarity_interval(epsilon),
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
        if at.uncertain:
            low, high = at.interval
            say(f"  uncertain          {_sets(at.uncertain)}   similarity {low:.6g} to {high:.6g}", "yellow")
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
                "uncertain_x": at.uncertain.x.tolist(),
                "uncertain_y": at.uncertain.y.tolist(),
                "similarity_interval": at.interval,
                "simple_matches": [
                    {"neuron": simple.neuron, "x": simple.match.x.tolist(), "y": simple.match.y.tolist()}
                    for simple in at.simple
                ],
            }
            for at in found.matches
        ],
    }
    print(json.dumps(document, indent=2))  # noqa: T201 - a document for another program, not a screen


def _sets(match: Match) -> str:
    return f"X {_indices(match.x.tolist())}  Y {_indices(match.y.tolist())}"


def _indices(indices: Sequence[int]) -> str:
    return "{" + ", ".join(str(index) for index in indices) + "}"
