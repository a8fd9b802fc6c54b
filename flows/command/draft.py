"""A commented study of what has been looked at: the text that `spanmatch init` writes, by pure functions."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import yaml
from rich.filesize import decimal

from flows.study.model import Study

if TYPE_CHECKING:
    from spanmatch.networks import Layer

# What a study may store of activations before fewer positions, and then none at all, are advised.
ROOM = 10_000_000_000
MANY_SAMPLES = 10_000
_DRAWN = 16
_ITEMSIZE = 4  # float32
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")

Positions = Literal["all", "mean"] | int


@dataclass(frozen=True)
class Seen:
    """What a network and a data set have shown.

    Attributes
    ----------
    layers
        All layers, in the order of the forward pass.
    chosen
        Names of those that are compared.
    left_out
        Why others that are outputs of activation functions are not, by name.
    parameters
        Of one network.
    training, held_out
        Numbers of samples; None where there are none to train on.
    items, inputs, task
        What samples are called, what a network takes of one, and what it is trained for.
    """

    layers: "Sequence[Layer]"
    chosen: Sequence[str]
    left_out: Mapping[str, str]
    parameters: int
    training: int | None
    held_out: int
    items: str
    inputs: str
    task: str

    @property
    def compared(self) -> "list[Layer]":
        """The layers that are compared."""
        return [layer for layer in self.layers if layer.name in self.chosen]

    @property
    def samples(self) -> int:
        """How many samples pass."""
        return min(self.held_out, MANY_SAMPLES)

    def stored(self, positions: Positions) -> int:
        """Return the bytes of the compared layers' activations, of one network at one checkpoint."""
        numbers = sum(layer.neurons * _drawn(layer, positions) for layer in self.compared)
        return self.samples * numbers * _ITEMSIZE


def advised(seen: Seen, checkpoints: int) -> tuple[Positions, Literal["keep", "stream"]]:
    """Return which positions are samples, and whether activations are stored, so that they find room.

    Parameters
    ----------
    seen
        What is compared.
    checkpoints
        Of all networks together.
    """
    largest = max(layer.positions for layer in seen.compared)
    if seen.stored("all") * checkpoints <= ROOM or largest <= _DRAWN:
        return "all", "keep" if seen.stored("all") * checkpoints <= ROOM else "stream"
    return _DRAWN, "keep" if seen.stored(_DRAWN) * checkpoints <= ROOM else "stream"


def draft(values: Mapping[str, Any], seen: Seen, first: str) -> str:
    """Return the text of a study's file.

    Parameters
    ----------
    values
        What the study says, by key and in order, but for its layers.
    seen
        What is said of it in comments.
    first
        The first line.
    """
    notes = _notes(values, seen)
    lines = [first, *_opening(values, seen)]
    for key, value in values.items():
        if key == "epsilons":
            lines += _layers(values, seen)
        entry = f"{key}:{_written(value)}"
        note = notes.get(key, "")
        lines += [f"{entry}  # {note}" if note and "\n" not in entry else entry]
    return "\n".join([*lines, *_further()]) + "\n"


def _opening(values: Mapping[str, Any], seen: Seen) -> Iterator[str]:
    yield "# Written by `spanmatch init` after a look at network and data. docs/study.md describes every key;"
    yield "# `spanmatch status` says of this file what a run takes, and `spanmatch run` compares."
    yield "#"
    yield _comment(
        f"The network: {seen.parameters:,} parameters, {len(seen.layers)} layers; {len(seen.chosen)} of them "
        "are compared."
    )
    trained = "none to train on" if seen.training is None else f"{seen.training:,} to train on"
    yield _comment(f"The data: {seen.held_out:,} {seen.items} held out, {trained}, each of {seen.inputs}.")
    networks = len(values.get("seeds", ())) + len(values.get("weights", ()))
    moments = networks * len(values["checkpoints"])
    each = seen.stored(values["positions"])
    neurons = sum(layer.neurons for layer in seen.compared)
    kept = "are not stored" if values["activations"] == "stream" else "are stored"
    yield _comment(
        f"Activations of {neurons:,} neurons and {seen.samples:,} {seen.items}: {decimal(each)} of each "
        f"network and checkpoint, {decimal(each * moments)} of all {moments}; they {kept}."
    )


def _notes(values: Mapping[str, Any], seen: Seen) -> dict[str, str]:
    """Return what is said of a key beside it."""
    everything = seen.stored("all")
    mean = decimal(seen.stored("mean"))
    stream = "stream, which stores sums alone, is advised from"
    return {
        "seeds": "one network is trained from each; a further one computes only what is further",
        "checkpoints": "moments of training: initial, best, final, epoch1, epoch2, …",
        "images": f"of {seen.held_out:,} {seen.items} that are held out, the first ones; or all",
        "positions": f"of a map that are samples: all would be {decimal(everything)} of each network and "
        f"checkpoint, mean {mean}; or a number, drawn of each",
        "activations": f"{stream} {decimal(ROOM)} of all together" if values["activations"] == "keep" else
        f"sums alone are stored, for activations would be more than {decimal(ROOM)}; keep stores them",
        "epsilons": "tolerances, each at least 0 and below 1",
        "root": "for everything computed, from the folder that the command is typed in; or s3://bucket/prefix",
    }  # fmt: skip


def _layers(values: Mapping[str, Any], seen: Seen) -> Iterator[str]:
    """List every layer with its shape; those that are not compared as comments."""
    usual = any(layer.is_activation for layer in seen.compared)
    which = (
        "outputs of activation functions" if usual else "all: none is the output of an activation function"
    )
    yield f"layers:  # {which}; take the # off others, or write patterns: block1.*"
    width = max(len(_quoted(layer.name)) for layer in seen.layers)
    for layer in seen.layers:
        off = "" if layer.name in seen.chosen else "# "
        said = f"{layer.kind}: {layer.described_of(seen.items)}"
        if layer.name in seen.left_out:
            said += "; left out"
        elif not off and layer.neurons >= (rows := seen.samples * _drawn(layer, values["positions"])):
            said += f"; needs more than {rows:,} samples, with which everything matches"
        yield f"  {off}- {_quoted(layer.name):{width}}{'' if off else '  '}  {_comment(said)}"


def _further() -> Iterator[str]:
    yield "# What may be said further, with what holds where it is not:"
    for key, value in (
        ("centre", "[raw, mean]"),
        ("measures", "default"),
        ("pairs", "same"),
        ("device", "auto"),
    ):
        about = str(Study.model_fields[key].description).split(";")[0].rstrip(".")
        yield f"# {key}: {value}  # {about}"


def _written(value: object) -> str:
    """Return a value as it stands behind its key: in that line, or below it, a name and its value a line."""
    if isinstance(value, Mapping):
        return "".join(f"\n  {key}:{_written(inner)}" for key, inner in value.items())
    flow = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return " " + flow.removesuffix("...\n").rstrip()


def _drawn(layer: "Layer", positions: Positions) -> int:
    """Return how many positions of a layer are samples of an image."""
    if positions == "mean":
        return 1
    return layer.positions if positions == "all" else min(layer.positions, positions)


def _comment(text: str) -> str:
    return f"# {' '.join(text.split())}"


def _quoted(name: str) -> str:
    """Return a name as YAML takes it for itself."""
    plain = _PLAIN.fullmatch(name) is not None and yaml.safe_load(name) == name
    return name if plain else json.dumps(name, ensure_ascii=False)
