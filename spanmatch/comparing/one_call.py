"""Compare layers of networks in one call: samples stream through them, and their statistic is summed."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TextIO

from torch import nn

from spanmatch.comparing.choice import (
    Choice,
    LayersWanted,
    choose_layers,
    choose_pairs,
)
from spanmatch.comparing.loading import Batch, Batches, MaskOf, Taker
from spanmatch.comparing.pairs import Pairs
from spanmatch.comparing.result import Comparison
from spanmatch.comparing.streaming import Stream
from spanmatch.comparing.watched import Watched
from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.matching.parts import whole_number
from spanmatch.networks.positions import Positions, check_positions
from spanmatch.statistics.resampling import check_folds


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

    Examples
    --------
    >>> import torch
    >>> from spanmatch import compare
    >>> net_a, net_b = (torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU()) for _ in range(2))
    >>> result = compare({"a": net_a, "b": net_b}, [torch.randn(50, 4), torch.randn(50, 4)])
    >>> result.samples, [layer.name for layer in result.layers["a"]]
    (100, ['1'])
    >>> result.matrix("cka").values.shape, 0 <= result.matrix("cka")["1", "1"] <= 1
    ((1, 1), True)
    """
    watched = _watched(networks)
    chosen_positions = positions if positions is not None else ("mean" if pairs == "grid" else "all")
    check_positions(chosen_positions)
    if whole_number("folds", folds, "10 are usual") and folds < 2:
        check_folds(folds, 2)
    whole_number("position_seed", position_seed, "0 is usual")
    if memory is not None:
        whole_number("memory", memory, "it is bytes; leave it out for what the machine has")
    batches = Batches({name: each.network for name, each in watched.items()}, loader, inputs, mask)
    stream: Stream | None = None
    with ExitStack() as at_work, _Progress(len(batches), progress) as shown:
        for each in watched.values():
            at_work.enter_context(each.evaluating())
        for number, batch in enumerate(batches):
            if stream is None:
                stream = Stream(
                    watched,
                    batch,
                    _choice(watched, batch, layers, pairs, chosen_positions),
                    chosen_positions,
                    position_seed,
                    folds=folds,
                    keep=keep_samples,
                    minibatch_cka=minibatch_cka,
                )
                needed = stream.require_room(batch, memory, len(batches))
                shown.begin(
                    f"pairs of layers: {len(stream.choice.pairs):,}, memory: up to {needed / 1e9:.2f} GB"
                )
            stream.add(batch, number)
            shown.step(stream.samples)
    assert stream is not None
    return stream.result(position_seed, _notes(watched, batches, stream))


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


def _notes(watched: Mapping[str, Watched], batches: Batches, stream: Stream) -> list[str]:
    """Say what was done without being asked for."""
    notes = []
    if training := [name for name, each in watched.items() if each.was_training]:
        notes.append(f"Networks in training mode were evaluated: {', '.join(training)}.")
    if stream.told:
        notes.append(
            f"Padding that networks told their layers of is left out: {', '.join(sorted(stream.told))}."
        )
    return [*notes, *batches.notes, *(f"Not compared: {each}." for each in stream.choice.left_out)]


class _Progress:
    """A line on standard error that says how far it is."""

    def __init__(self, batches: int, wanted: bool | None) -> None:
        self._stream: TextIO = sys.stderr
        self._shown = self._stream.isatty() if wanted is None else wanted
        self._batches, self._done, self._start = batches, 0, time.monotonic()

    def __enter__(self) -> "_Progress":
        return self

    def begin(self, what: str) -> None:
        """Say what is going to be done."""
        if self._shown:
            self._stream.write(f"compare: {what}\n")

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
