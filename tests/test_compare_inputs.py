"""`spanmatch.compare` passes on what networks take, of any kind, and sees what they give."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from compared import (
    IMAGES,
    VALUES,
    Encoder,
    by_hooks,
    close,
    convolutional,
    dense,
    padded,
    seeded,
    sentences,
    tanh,
    two,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import spanmatch

pytestmark = [
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]


@pytest.mark.parametrize("size", [8, 3, 2])  # batches of other lengths, as a data collator pads them
def test_masked_tokens_are_those_of_each_sentence_alone(size):
    one, other = seeded(Encoder, 0), seeded(Encoder, 1)
    rows = sentences()
    loader = [padded(rows[start : start + size]) for start in range(0, len(rows), size)]
    found = spanmatch.compare(
        {"a": one, "b": other}, loader, layers=["block.relu", "block.linear2"], pairs="same"
    )
    assert any("attention_mask" in note for note in found.notes)
    alone = spanmatch.compare(
        {"a": one, "b": other},
        [row[None] for row in rows],
        layers=["block.relu", "block.linear2"],
        pairs="same",
    )
    assert found.gram("block.relu", "block.relu").n_samples == sum(map(len, rows))
    for name in ("block.relu", "block.linear2"):
        expected = alone.gram(name, name).matrix
        np.testing.assert_allclose(found.gram(name, name).matrix, expected, rtol=1e-4, atol=1e-4)


def test_a_mask_can_be_named_given_by_a_function_or_left_out():
    networks = {"a": seeded(Encoder, 0), "b": seeded(Encoder, 1)}
    batch = padded(sentences())
    counted = int(batch["attention_mask"].sum())
    renamed = {"input_ids": batch["input_ids"], "which": batch["attention_mask"]}
    for loader, mask, samples in (
        ([renamed], "which", counted),
        ([(batch["input_ids"], batch["attention_mask"])], lambda given: given[1], counted),
        ([renamed], None, batch["input_ids"].numel()),
        ([batch], False, counted),  # the network tells its attention layers
    ):
        found = spanmatch.compare(networks, loader, mask=mask, layers="block.relu", pairs="same")
        assert found.gram("block.relu", "block.relu").n_samples == samples


def test_each_network_has_the_mask_of_what_it_takes():
    ids = padded(sentences())
    image, text = seeded(convolutional, 0), seeded(Encoder, 1)
    one = spanmatch.compare(
        {"image": image, "text": text},
        {"image": [IMAGES[:8]], "text": [ids]},
        layers={"image": ["2", "5"], "text": "block.relu"},
    )
    both = {**ids, "images": IMAGES[:8]}
    other = spanmatch.compare(
        {"image": image, "text": text},
        [both],
        inputs={"image": lambda batch: batch["images"], "text": None},
        layers={"image": ["2", "5"], "text": "block.relu"},
    )
    x = by_hooks(image, ["5"], IMAGES[:8])["5"].mean(axis=(2, 3))
    for found in (one, other):
        np.testing.assert_allclose(found.gram("5", "block.relu").xx, x.T @ x, rtol=1e-5)


def test_masks_may_be_added_to_scores_and_batches_may_have_one_token():
    networks = {"a": seeded(Encoder, 0), "b": seeded(Encoder, 1)}
    batch = padded(sentences())
    counted = int(batch["attention_mask"].sum())
    for dtype in (torch.float32, torch.bfloat16):
        added = (1 - batch["attention_mask"]).to(dtype) * -1e4
        found = spanmatch.compare(
            networks, [batch["input_ids"]], mask=lambda _, of=added: of, layers="block.relu", pairs="same"
        )
        assert found.gram("block.relu", "block.relu").n_samples == counted
    single = {
        "input_ids": torch.ones(3, 1, dtype=torch.long),
        "attention_mask": torch.tensor([[1], [0], [1]]),
    }
    found = spanmatch.compare(
        networks, [batch, single], inputs=lambda of: of["input_ids"], layers="block.relu", pairs="same"
    )
    assert found.gram("block.relu", "block.relu").n_samples == counted + 2


class Queries(nn.Module):
    """Five queries that look at words: a layer of fixed length."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 6)
        self.dense = nn.Linear(6, 7)

    def forward(self, input_ids):
        words = self.embed(input_ids)
        return self.dense(words[:, :1].expand(-1, 5, -1) * 2).relu()


def test_layers_that_the_mask_does_not_fit_in_a_later_batch_are_refused():
    networks = {"a": seeded(Queries, 0), "b": seeded(Queries, 1)}
    rows = [padded([torch.ones(length, dtype=torch.long)] * 2) for length in (5, 9)]
    with pytest.raises(spanmatch.SpanmatchError, match="has 5 and the mask 9 in batch 1"):
        spanmatch.compare(networks, rows)


@pytest.mark.parametrize("entry", [("conv", "last"), {"name": "conv", "neurons": "last"}])
def test_neurons_are_where_somebody_says_they_are(entry):
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 5, 1)

        def forward(self, values):
            return self.conv(values).relu()

    one, other = seeded(Square, 0), seeded(Square, 1)
    for length in (5, 4):
        values = torch.randn(20, 3, length, generator=torch.Generator().manual_seed(0))
        found = spanmatch.compare([one, other], [values], layers=[entry], pairs="same")
        x, y = (by_hooks(network, ["conv"], values)["conv"].reshape(-1, length) for network in (one, other))
        close(found.gram("conv", "conv"), x, y)


def test_a_loader_under_several_names_is_gone_through_once():
    one = seeded(dense, 0)
    shuffling = DataLoader(TensorDataset(torch.arange(48.0).reshape(8, 6)), 3, shuffle=True)
    for loader in ((part for part in VALUES.split(3)), shuffling):
        found = spanmatch.compare({"a": one, "b": one}, {"a": loader, "b": loader})
        assert found.samples == 8
        np.testing.assert_array_equal(found.gram("1", "1").xx, found.gram("1", "1").yy)


class Named(nn.Module):
    def forward(self, x, y):
        return (x + y).relu()


class Any_(nn.Module):
    def forward(self, ids, **more):
        assert more.keys() <= {"scale"}
        return (ids * more.get("scale", torch.ones(1))).relu()


class Keyed(nn.Module):
    def forward(self, *args, **kwargs):
        assert not args
        return kwargs["x"].relu()


class Hugging(nn.Module):
    def forward(self, input_ids=None, attention_mask=None, labels=None, **kwargs):
        assert labels is None
        assert kwargs == {}
        return input_ids.relu()


SUITED = {
    "labels that a network requires": (Named, {"x": VALUES, "y": VALUES}, 2 * VALUES),
    "further names": (Any_, {"ids": VALUES, "labels": torch.ones(8), "scale": torch.ones(1) * 3}, 3 * VALUES),
    "names alone": (Keyed, {"x": VALUES, "label": torch.ones(8)}, VALUES),
    "what is no tensor": (
        Hugging,
        {
            "input_ids": VALUES.numpy(),
            "text": np.array(["a"] * 8),
            "names": ["b"] * 8,
            "labels": torch.ones(8),
        },
        VALUES,
    ),
}


@pytest.mark.parametrize("case", SUITED)
def test_a_network_gets_of_a_batch_what_its_signature_names(case):
    make, batch, expected = SUITED[case]
    found = spanmatch.compare([make(), make()], [batch], layers="relu")
    close(found.gram("relu", "relu"), expected.relu().numpy(), expected.relu().numpy())


def test_parts_of_a_batch_that_no_network_gets_are_said():
    class Optional(nn.Module):
        def forward(self, values, mask=None):
            return values.relu()

    for batch, is_said in (((VALUES, VALUES), True), ((VALUES,), False)):
        notes = spanmatch.compare([Optional(), Optional()], [batch]).notes
        assert any("was given the first 1" in note for note in notes) == is_said
    assert not spanmatch.compare(two(), [(VALUES, torch.ones(8))]).notes  # labels


@pytest.mark.parametrize("shared", [8, 2, 16])  # as many as samples of a batch, of the probe, of a part
def test_a_tensor_that_is_the_same_for_all_samples_stays_whole(shared):
    class Shared(nn.Module):
        def forward(self, values, table):
            return (values + table.sum()).relu()

    values = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    table = torch.ones(shared, 3)
    found = spanmatch.compare([Shared(), Shared()], [(values, table)], layers="relu")
    expected = (values + 3 * shared).relu().numpy()
    close(found.gram("relu", "relu"), expected, expected)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 7, batch_first=True)

    def forward(self, steps):
        return self.lstm(steps)


def test_outputs_of_recurrent_layers_and_their_states_are_layers():
    one, other = seeded(Recurrent, 0), seeded(Recurrent, 1)
    steps = torch.randn(30, 4, 6, generator=torch.Generator().manual_seed(0))
    layers = ["lstm", "lstm[1][0]", "lstm[1][1]"]
    found = spanmatch.compare([one, other], [steps], layers=layers, pairs="same")
    with torch.no_grad():
        (out_x, (h_x, c_x)), (out_y, (h_y, c_y)) = one(steps), other(steps)
    for name, x, y in zip(layers, (out_x, h_x, c_x), (out_y, h_y, c_y), strict=True):
        close(found.gram(name, name), x.reshape(-1, 7).numpy(), y.reshape(-1, 7).numpy())


@dataclass
class Twofold:
    hidden: torch.Tensor
    attention: dict[str, torch.Tensor]


class Giving(nn.Module):
    def forward(self, values):
        return Twofold(values.tanh(), {"of": values * 2})


class Mixed(nn.Module):
    """A dictionary of inputs of several kinds in, dataclasses within."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 5)
        self.dense = nn.Linear(4, 5)
        self.giving = Giving()

    def forward(self, inputs):
        found = self.giving(self.embed(inputs["kind"]) + self.dense(inputs["numbers"]))
        return found.hidden + found.attention["of"]


def test_dictionaries_go_in_and_dataclasses_come_out():
    one, other = seeded(Mixed, 0), seeded(Mixed, 1)
    drawn = torch.Generator().manual_seed(1)
    batch = {
        "kind": torch.randint(0, 9, (25,), generator=drawn),
        "numbers": torch.randn(25, 4, generator=drawn),
    }
    names = ["giving[hidden]", "giving[attention][of]"]
    for loader in ([batch], [(batch, torch.zeros(25))]):
        found = spanmatch.compare([one, other], loader, layers=names, pairs="same")
        with torch.no_grad():
            sums = [net.embed(batch["kind"]) + net.dense(batch["numbers"]) for net in (one, other)]
        close(found.gram(names[0], names[0]), *(each.tanh().numpy() for each in sums))
        close(found.gram(names[1], names[1]), *(2 * each.numpy() for each in sums))


def test_networks_take_their_own_inputs_from_their_own_loaders():
    image, tokens = seeded(convolutional, 0), seeded(Encoder, 1)
    rows = sentences()
    found = spanmatch.compare(
        {"image": image, "text": tokens},
        {
            "image": [{"pixels": IMAGES[:8], "id": list("abcdefgh")}],
            "text": [padded(rows, id=list("abcdefgh"))],
        },
        inputs={"image": lambda batch: batch["pixels"], "text": None},
    )
    assert found.gram("8", "block.relu").n_samples == 8
    assert found.samples == 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_precisions_are_compared(dtype):
    one, other = seeded(tanh, 0).to(dtype), seeded(tanh, 1)
    values = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    found = spanmatch.compare([one, other], [values])
    with torch.no_grad():
        x = one[1](one[0](values.to(dtype)))
        y = other[1](other[0](values))
    close(found.gram("1", "1"), x.float().numpy(), y.numpy())
    if dtype == torch.float64:  # no digit is lost
        both = spanmatch.compare([one, seeded(tanh, 2).double()], [values.double()])
        np.testing.assert_allclose(both.gram("1", "1").xx, (x.T @ x).numpy(), rtol=1e-13)


def test_compiled_networks_are_compared_as_they_are_without_compilation():
    one, other = seeded(convolutional, 0), seeded(convolutional, 1)
    plain = spanmatch.compare([one, other], [IMAGES])
    within = seeded(convolutional, 1)
    within.compile()
    compiled = spanmatch.compare([torch.compile(one), within], [IMAGES])
    np.testing.assert_array_equal(compiled.gram("2", "5").matrix, plain.gram("2", "5").matrix)
