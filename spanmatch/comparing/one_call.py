"""Compare layers of networks in one call: samples stream through them, and their statistic is summed."""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn

from spanmatch.comparing.choice import (
    Choice,
    LayersWanted,
    Pairs,
    bytes_of_sums,
    choose_layers,
    choose_pairs,
)
from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.loading import Batch, Batches, MaskOf, Taker
from spanmatch.comparing.minibatches import LEAST_SAMPLES, MinibatchSums, WholeGrams
from spanmatch.comparing.pairs import Column, ComparedLayer
from spanmatch.comparing.result import Comparison
from spanmatch.comparing.torch_sums import TorchSums
from spanmatch.comparing.watched import Watched
from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.inputs import AnyArray
from spanmatch.matching.parts import whole_number
from spanmatch.networks.layers import Layer, by_position
from spanmatch.networks.padding import Counts, counting
from spanmatch.networks.passes import Activations, Take, Taking
from spanmatch.networks.positions import Positions, check_positions
from spanmatch.statistics.resampling import check_folds

# Of activations of all layers of all networks, so much is held at once: a batch passes in parts.
_HELD_BYTES = 256 * 2**20
# Samples of a part, at least: networks are slow with few.
_LEAST_PART = 16


def compare(
    networks: Mapping[str, nn.Module] | Sequence[nn.Module],
    loader: Iterable[Any] | Mapping[str, Iterable[Any]],
    *,
    layers: LayersWanted | Mapping[str, LayersWanted] = "default",
    pairs: Pairs = "grid",
    positions: Positions | None = None,
    position_seed: int = 0,
    inputs: Taker | Mapping[str, Taker] | None = None,
    mask: MaskOf = None,
    folds: int = 0,
    keep_samples: bool = False,
    minibatch_cka: bool = False,
    memory: int | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Compare layers of two or more networks on the same samples, which stream through them.

    Parameters
    ----------
    networks
        Modules of torch by name, or a sequence of them, which are named 0, 1, …. Each stays on its device,
        and is left as it was: without hooks, in training or in evaluation.
    loader
        What gives batches: tensors, tuples or dictionaries, samples in the first dimension. One for all
        networks, or one for each by name, which give the same samples in the same order. Of a tuple a network
        gets as many parts as its forward pass requires, so that labels are left out; of a dictionary what it
        has parameters for, or else the dictionary. Ids of samples stand under ``id`` or ``ids``. A loader
        that stands under several names is gone through once.
    layers
        ``default``: the outputs of all activation functions; names or patterns, as in a study; or a function
        that says of a `Layer` whether it is wanted. For all networks, or for each by name.
    pairs
        ``grid``: every layer of one network with every layer of the other; ``same``: layers of one name; or
        pairs of names.
    positions
        ``mean`` over positions, ``all`` of them as samples, or a number drawn for each sample. By default the
        mean where pairs are a grid, whose layers have maps of different sizes, and otherwise all.
    position_seed
        Of the draw.
    inputs
        A function that returns what a network takes of a batch: a tensor, a tuple, or a dictionary of named
        arguments. For all networks, or for each by name.
    mask
        Which positions count: a key of the batches, or a function of a batch, (samples, positions). By
        default ``attention_mask`` where batches have it and the network takes what it is of, and else what
        the network tells its attention layers; False for the latter alone.
    folds
        How many parts of the samples are summed apart, for errors and held-out values; 0 for none.
    keep_samples
        Whether to keep activations in memory, which `Comparison.null` needs.
    minibatch_cka
        Whether to estimate CKA between whole maps from each batch, too, as other tools do.
    memory
        Bytes that this may take; by default what the machine has available.
    progress
        Whether to show progress on standard error; by default where that is a terminal.

    Returns
    -------
    Comparison
        The statistic of all pairs, of which every measure at every ε follows without another pass.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above; if networks do not take the batches, or give no such layers; if there
        is no room; in one sentence, with all networks as they were.

    Notes
    -----
    Costs one forward pass of each network and, while samples are more than neurons, the products of
    `spanmatch.GramMatrix`; nothing is written. Memory is that of the sums, or of the samples where that is
    less, and of one batch's activations.
    """
    watched = _watched(networks)
    chosen_positions = positions if positions is not None else ("mean" if pairs == "grid" else "all")
    check_positions(chosen_positions)
    if whole_number("folds", folds, "10 are usual") and folds < 2:
        check_folds(folds, 2)
    batches = Batches({name: each.network for name, each in watched.items()}, loader, inputs, mask)
    run: _Run | None = None
    with ExitStack() as at_work, _Progress(len(batches), progress) as shown:
        for each in watched.values():
            at_work.enter_context(each.evaluating())
        for number, batch in enumerate(batches):
            if run is None:
                run = _Run(
                    watched,
                    batch,
                    _choice(watched, batch, layers, pairs, chosen_positions),
                    chosen_positions,
                    position_seed,
                    folds=folds,
                    keep=keep_samples,
                    minibatch_cka=minibatch_cka,
                )
                run.require_room(batch, memory, len(batches))
            run.add(batch, number)
            shown.step(run.samples)
    assert run is not None
    return run.result(chosen_positions, position_seed, _notes(watched, batches, run))


def _watched(networks: Mapping[str, nn.Module] | Sequence[nn.Module]) -> dict[str, Watched]:
    if isinstance(networks, nn.Module) or not isinstance(networks, Mapping | Sequence):
        raise InputTypeError(
            f"`networks` must be several, by name or in a list, got {type(networks).__name__}; pass "
            '{"a": network, "b": other}'
        )
    listed = networks.items() if isinstance(networks, Mapping) else enumerate(networks)
    named = [(str(name), network) for name, network in listed]
    if len(dict(named)) < len(named):
        raise InputValueError(
            f"`networks` must have a name each, got {', '.join(name for name, _ in named)}; rename one"
        )
    return {name: Watched(name, network) for name, network in named}


def _choice(
    watched: Mapping[str, Watched],
    batch: Batch,
    layers: LayersWanted | Mapping[str, LayersWanted],
    pairs: Pairs,
    positions: Positions,
) -> Choice:
    known, masked = {}, {}
    for (name, each), inputs, mask in zip(watched.items(), batch.inputs, batch.masks, strict=True):
        known[name] = list(each.layers(inputs, masked=mask is not None).values())
        masked[name] = None if mask is None else mask.shape[1]
    chosen, left_out = choose_layers(known, layers, masked)
    return choose_pairs(chosen, pairs, positions, left_out)


class _Run:
    """What is summed while batches stream by."""

    def __init__(
        self,
        watched: Mapping[str, Watched],
        batch: Batch,
        choice: Choice,
        positions: Positions,
        position_seed: int,
        *,
        folds: int,
        keep: bool,
        minibatch_cka: bool,
    ) -> None:
        self.choice = choice
        self._watched = watched
        self._positions = positions
        self._takes = {
            name: Taking(positions, position_seed, each.precision(inputs))
            for (name, each), inputs in zip(watched.items(), batch.inputs, strict=True)
        }
        self._wanted = {
            name: {
                layer: found for layer, found in choice.layers[name].items() if self._is_compared(name, layer)
            }
            for name in watched
        }
        self._folds = folds
        self._keep = keep
        neurons = {column: choice.layer(column).neurons for group in choice.groups for column in group}
        self.sums = [
            GroupSums(group, neurons, choice.pairs, max(folds, 1), keep, TorchSums) for group in choice.groups
        ]
        self.minibatches = MinibatchSums(choice.pairs) if minibatch_cka else None
        self._grams = WholeGrams()
        self.samples = 0
        self._part: int | None = None
        self._there: int | None = None
        self.told: set[str] = set()
        """Networks that have told their layers of padding."""

    def _is_compared(self, network: str, layer: str) -> bool:
        return any(Column(network, layer) in group for group in self.choice.groups)

    def require_room(self, batch: Batch, memory: int | None, batches: int) -> None:
        """See that there is memory for what will be summed, and find how many samples pass at once."""
        most = {"mean": 1, "all": None}.get(str(self._positions), self._positions)
        of_sample = sum(
            (8 if self._takes[name].dtype == "float64" else 4)
            * layer.neurons
            * (layer.positions if most is None else min(int(most), layer.positions))
            for name, layers in self._wanted.items()
            for layer in layers.values()
        )
        part = max(_LEAST_PART, _HELD_BYTES // max(of_sample, 1))
        self._part = None if self.minibatches is not None else part
        held = of_sample * min(len(batch), self._part or len(batch))
        if self._keep:
            held += of_sample * len(batch) * max(batches, 1)
        needed = bytes_of_sums(self.choice, self._folds) + held
        self._there = memory if memory is not None else _available()
        if self._there is not None and needed > self._there:
            raise InputValueError(
                f"`memory` must hold the statistic of {len(self.choice.pairs):,} pairs of layers and the "
                f"activations that are held, {needed / 1e9:.2f} GB, got {self._there / 1e9:.2f} GB; compare "
                'fewer layers, use pairs="same", positions="mean" or smaller batches, or keep no samples'
            )

    def _require_room_still(self) -> None:
        kept = sum(group.bytes for group in self.sums)
        if self._keep and self._there is not None and kept > self._there:
            raise InputValueError(
                f"`memory` must hold the samples that are kept, {kept / 1e9:.2f} GB after {self.samples:,} "
                f"of the loader, got {self._there / 1e9:.2f} GB; use fewer, or keep_samples=False"
            )

    def add(self, batch: Batch, number: int) -> None:
        """Pass a batch through all networks, and sum."""
        for part in batch.parts(self._part or len(batch)):
            taken: dict[Column, AnyArray] = {}
            told: dict[str, Counts] = {}
            passing = zip(self._watched.items(), part.inputs, part.masks, strict=True)
            for (name, each), inputs, mask in passing:
                take: Take = self._takes[name]
                if self.minibatches is not None:
                    take = _Beside(take, self._grams, name)
                found, told[name] = each.passed(
                    self._wanted[name], inputs, part.ids, take, mask=mask, batch=number
                )
                taken |= {Column(name, layer): _neurons_last(values) for layer, values in found.items()}
            self._require_one_sense(part, told, number)
            for group in self.sums:
                group.add({column: taken[column] for column in group.columns}, part.start, number)
        if self.minibatches is not None:
            self.minibatches.add(self._grams.of)
        self.samples += len(batch)
        self._require_room_still()

    def _require_one_sense(self, part: Batch, told: Mapping[str, Counts], number: int) -> None:
        """See that no network counts tokens that another takes for padding, where both get the same."""
        said: dict[str, dict[int, torch.Tensor]] = {}
        for name, given in zip(self._watched, part.masks, strict=True):
            counts = told[name] if given is None else {given.shape[1]: torch.from_numpy(given)}
            said[name] = {width: each.cpu() for width, each in counts.items() if not bool(each.all())}
            if given is None and said[name]:
                self.told.add(name)
        for name, counts in said.items():
            for other, inputs in zip(self._watched, part.inputs, strict=True):
                for width, mask in counts.items():
                    takes = any(tuple(each.shape[:2]) == tuple(mask.shape) for each in inputs.tensors)
                    same = width in said[other] and torch.equal(mask, said[other][width])
                    if takes and not same:
                        raise InputValueError(
                            f"`mask` must say which positions count where networks do not agree, but "
                            f"{name!r} takes some of {width} for padding in batch {number} and {other!r} "
                            "does not; give one for all"
                        )

    def result(self, positions: Positions, seed: int, notes: Sequence[str]) -> Comparison:
        """Return what was found."""
        if self._folds:
            check_folds(self._folds, self.samples)
        for group in self.sums:
            group.require_samples()
        layers = {
            name: tuple(
                ComparedLayer(each.name, each.kind, each.neurons, each.positions, each.described)
                for each in wanted.values()
            )
            for name, wanted in self._wanted.items()
        }
        minibatch = None
        if self.minibatches is not None:
            minibatch = {pair: self.minibatches.value(pair) for pair in self.choice.pairs}
            if self.minibatches.skipped:
                batches = f"{self.minibatches.skipped} batches of fewer than {LEAST_SAMPLES} samples"
                notes = [*notes, f"{batches} had no part in minibatch CKA."]
        how = {"all": "all positions", "mean": "the mean over positions"}.get(
            str(positions), f"{positions} positions drawn for each sample (seed {seed})"
        )
        return Comparison(
            layers=layers,
            pairs=self.choice.pairs,
            images=self.samples,
            positions=how,
            folds=self._folds,
            notes=tuple(notes),
            sums=tuple(self.sums),
            minibatch_cka=minibatch,
        )


def _neurons_last(values: Activations) -> Activations:
    """Lay out activations so that neurons are neighbours in memory, which torch does on all threads."""
    laid_out: Activations = torch.from_numpy(values).contiguous().numpy()
    return laid_out


class _Beside:
    """Takes activations, and beside them the Gram matrix of whole outputs."""

    def __init__(self, take: Take, grams: WholeGrams, network: str) -> None:
        self._take, self._grams, self._network = take, grams, network

    def __call__(self, layer: Layer, output: object, ids: Sequence[str], counts: Counts) -> Activations:
        values = self._take(layer, output, ids, counts)
        arranged = by_position(layer, output, len(ids))
        assert isinstance(output, torch.Tensor)
        assert layer.arrangement is not None
        counted = counting(counts, arranged.shape[1])
        place = layer.arrangement.images
        if counted is not None:
            output, place = arranged.masked_fill(~counted.unsqueeze(2), 0), 0
        elif output.shape[place] != len(ids):  # samples and positions are one dimension
            output, place = arranged, 0
        self._grams.add(Column(self._network, layer.name), output, place)
        return values


def _notes(watched: Mapping[str, Watched], batches: Batches, run: _Run) -> list[str]:
    """Say what was done without being asked for."""
    notes = []
    if training := [name for name, each in watched.items() if each.was_training]:
        notes.append(f"Networks in training mode were evaluated: {', '.join(training)}.")
    if run.told:
        notes.append(
            f"Padding that networks told their layers of is left out: {', '.join(sorted(run.told))}."
        )
    return [*notes, *batches.notes, *(f"Not compared: {each}." for each in run.choice.left_out)]


class _Progress:
    """A line on standard error that says how far it is."""

    def __init__(self, batches: int, wanted: bool | None) -> None:
        self._stream: TextIO = sys.stderr
        self._shown = self._stream.isatty() if wanted is None else wanted
        self._batches, self._done, self._start = batches, 0, time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def step(self, samples: int) -> None:
        """Count a batch."""
        self._done += 1
        if self._shown:
            of = f" of {self._batches}" if self._batches else ""
            seconds = time.monotonic() - self._start
            self._stream.write(f"\rcompare: batch {self._done}{of}, {samples:,} samples, {seconds:.0f} s")
            self._stream.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown and self._done:
            self._stream.write("\n")


def _available() -> int | None:
    """Return how many bytes of memory the machine has available; None where it does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None
