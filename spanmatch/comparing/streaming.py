"""Samples on their way through all networks, batch by batch, and what is summed of them."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch

from spanmatch.comparing.choice import Choice, bytes_of_sums
from spanmatch.comparing.compared import Compared
from spanmatch.comparing.group_sums import GroupSums
from spanmatch.comparing.loading import Batch
from spanmatch.comparing.memory import available_bytes
from spanmatch.comparing.minibatches import LEAST_SAMPLES, Beside, MinibatchSums, WholeGrams
from spanmatch.comparing.pairs import Column, ComparedLayer
from spanmatch.comparing.result import Comparison
from spanmatch.comparing.torch_sums import TorchSums, statistic_device
from spanmatch.comparing.watched import Watched
from spanmatch.errors import InputValueError
from spanmatch.matching.inputs import AnyArray
from spanmatch.networks.padding import Counts
from spanmatch.networks.passes import Activations, Take, Taking
from spanmatch.networks.positions import Positions
from spanmatch.statistics.resampling import check_folds

# Of activations of all layers of all networks, so much is held at once: a batch passes in parts.
_HELD_BYTES = 256 * 2**20
# Samples of a part, at least: networks are slow with few.
_LEAST_PART = 16


class Stream:
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
        joint = partial(TorchSums, device=statistic_device(each.device for each in watched.values()))
        self.sums = [
            GroupSums(group, neurons, choice.pairs, max(folds, 1), keep, joint) for group in choice.groups
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

    def require_room(self, batch: Batch, memory: int | None, batches: int) -> int:
        """See that there is memory, find how many samples pass at once, and return the bytes that it takes.

        Raises
        ------
        ValueError
            If there is not.
        """
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
        self._there = memory if memory is not None else available_bytes()
        if self._there is not None and needed > self._there:
            raise InputValueError(
                f"`memory` must hold the statistic of {len(self.choice.pairs):,} pairs of layers and the "
                f"activations that are held, {needed / 1e9:.2f} GB, got {self._there / 1e9:.2f} GB; compare "
                'fewer layers, use pairs="same", positions="mean" or smaller batches, or keep no samples'
            )
        return needed

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
                    take = Beside(take, self._grams, name)
                found, told[name] = each.passed(
                    self._wanted[name], inputs, part.ids, take, mask=mask, batch=number
                )
                for layer in list(found):
                    taken[Column(name, layer)] = _by_sample_or_neuron(found.pop(layer))
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

    def result(self, seed: int, notes: Sequence[str]) -> Comparison:
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
            str(self._positions), f"{self._positions} positions drawn for each sample (seed {seed})"
        )
        compared = Compared(
            layers=layers,
            pairs=self.choice.pairs,
            samples=self.samples,
            positions=how,
            folds=self._folds,
            notes=tuple(notes),
            sums=tuple(self.sums),
            minibatch_cka=minibatch,
        )
        return Comparison(compared)


def _by_sample_or_neuron(values: Activations) -> Activations:
    """Lay out activations so that all samples are rows or columns in memory: of maps, columns.

    Rows of a network's maps are of one image each, and are copied whole.
    """
    tensor = torch.from_numpy(values)
    if not tensor.is_contiguous():
        values = tensor.permute(2, 0, 1).contiguous().permute(1, 2, 0).numpy()
    return values
