"""Samples that are no images: what they are made of, what identifies them, and what networks are given."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pipeline import quick, write
from torch import nn

from flows.study import resolve
from spanmatch.networks.activations import extract
from spanmatch.networks.data import Dataset, Samples, padded, text_dataset
from spanmatch.networks.data.load import forget_datasets, load_source
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.layers import choose
from spanmatch.networks.probing import list_layers

LENGTHS = (5, 1, 3, 4, 2, 5)


def sentences(**changes: Any) -> Samples:
    """Six made sentences of one to five tokens, as an encoder takes them."""
    rng = np.random.default_rng(0)
    tokens, mask = padded([rng.integers(1, 30, length) for length in LENGTHS])
    inputs = {"input_ids": tokens, "attention_mask": mask.astype(np.int64)}
    return Samples(**{"inputs": inputs, "ids": tuple("abcdef"), "items": "sentences", **changes})


class Encoder(nn.Module):
    """Somebody's own encoder, called by name, which gives a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.dense, self.act = nn.Linear(8, 12), nn.GELU()
        self.head = nn.Linear(12, 30)

    def forward(self, *, attention_mask: torch.Tensor, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        z = self.embed(input_ids)
        z = z + self.mix(z, z, z, key_padding_mask=attention_mask == 0, need_weights=False)[0]
        hidden = self.act(self.dense(z))
        return {"hidden": hidden, "logits": self.head(hidden)}


def encoder(dtype: torch.dtype = torch.float32) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Encoder().to(dtype).eval()


def test_sequences_are_padded_behind_their_ends() -> None:
    tokens, mask = padded([np.array([7, 8]), np.array([9])], 3, fill=1)
    assert tokens.tolist() == [[7, 8, 1], [9, 1, 1]]
    assert mask.tolist() == [[True, True, False], [True, False, False]]
    for wrong in ([], [np.array([], np.int64)], [np.arange(4)]):
        with pytest.raises(ValueError, match="`sequences` must be some, of length 1 to 3"):
            padded(wrong, 3)


def test_samples_are_cut_spread_and_joined_with_all_that_is_theirs() -> None:
    some = sentences(labels=np.arange(6))
    part, two = some.slice(2, 4), some.spread(2)
    assert (part.ids, two.ids) == (("c", "d"), ("a", "d"))
    assert part.labels.tolist() == [2, 3]
    assert part.mask.sum(axis=1).tolist() == [3, 4]
    assert np.shares_memory(part.inputs["input_ids"], some.inputs["input_ids"])
    assert two.inputs["input_ids"].tolist() == some.inputs["input_ids"][[0, 3]].tolist()
    assert some.slice(0, 2).joined([some.slice(2, 6)]).digest == some.digest
    assert (part.shape, part.items, len(part)) == ((5,), "sentences", 2)
    pooled = Dataset("own", some.slice(0, 2), some.slice(2, 6), 6).pooled()
    assert pooled.held_out.digest == some.digest
    assert pooled.training is None


def test_the_mask_is_the_attention_mask_unless_another_is_given() -> None:
    assert sentences().mask.sum(axis=1).tolist() == list(LENGTHS)
    every = np.ones((6, 5), np.bool_)
    assert sentences(mask=every).mask is every
    assert Samples(np.zeros((2, 3), np.int32), ("a", "b")).mask is None


@pytest.mark.parametrize("least", [-np.inf, np.finfo(np.float32).min, -1e4])
@pytest.mark.parametrize("shape", [(6, 5), (6, 1, 1, 5)])
def test_a_mask_that_is_added_to_scores_counts_what_it_leaves_as_it_is(least: float, shape: tuple) -> None:
    counts = sentences().mask
    added = np.where(counts, 0, least).astype(np.float32).reshape(shape)
    assert np.array_equal(sentences(inputs={"attention_mask": added}).mask, counts)
    assert np.array_equal(sentences(inputs={"attention_mask": counts.astype(np.float32)}).mask, counts)
    assert sentences(inputs={"attention_mask": np.zeros((6, 1, 5, 5), np.float32)}).mask is None
    for name, value in (("attention_mask", np.nan), ("attention_mask", np.inf), ("other", -np.inf)):
        with pytest.raises(ValueError, match="must be finite"):
            sentences(inputs={name: np.full((6, 5), value, np.float32)})


def test_the_digest_sees_names_types_values_labels_mask_and_ids_and_not_what_samples_are_called() -> None:
    some = sentences()
    tokens = some.inputs["input_ids"]
    changed = np.where(tokens == tokens[0, 0], 29, tokens)
    different = [
        some,
        replace(some, inputs={**some.inputs, "input_ids": changed}),
        replace(some, inputs={**some.inputs, "input_ids": tokens.astype(np.int32)}),
        replace(some, inputs={"tokens": tokens, "attention_mask": some.inputs["attention_mask"]}),
        replace(some, inputs=tokens),
        replace(some, labels=np.arange(6)),
        replace(some, mask=np.ones((6, 5), np.bool_)),
        replace(some, ids=tuple("abcdeg")),
        some.slice(0, 5),
    ]
    assert len({each.digest for each in different}) == len(different)
    assert replace(some, items="lines").digest == some.digest
    of_task = [Dataset("own", None, replace(some, labels=tokens), 30, task="next-token")]
    of_task.append(Dataset("own", None, replace(some, labels=np.arange(6)), 30))
    assert len({each.digest for each in of_task}) == 2


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"inputs": {}}, ValueError, "`inputs` must have an array, got none"),
        ({"inputs": [[1]]}, TypeError, "`inputs` must be a NumPy array, got builtins.list"),
        ({"inputs": {"a": np.zeros((6, 2))}}, TypeError, r"`inputs\['a'\]` must be whole numbers, bool or"),
        ({"inputs": {"a b": np.zeros(6, np.int64)}}, ValueError, "names of a network's arguments"),
        ({"inputs": {"a": np.zeros(5, np.int64)}}, ValueError, "`a`, `labels` and `ids` must be as many"),
        ({"inputs": np.full((6, 1), np.nan, np.float32)}, ValueError, "must be finite"),
        ({"inputs": np.zeros(6, ">i8")}, TypeError, "got >i8; convert it"),
        ({"inputs": np.array(1)}, ValueError, "samples in its first dimension"),
        ({"labels": np.zeros(6)}, TypeError, "`labels` must be int64"),
        ({"mask": np.ones((6, 2), np.int64)}, TypeError, "`mask` must be bool"),
        ({"mask": np.ones(6, np.bool_)}, ValueError, r"`mask` must have the shape \(sentences, positions\)"),
        ({"mask": np.arange(6)[:, None] > [2]}, ValueError, "at least one position of each of the sentences"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        sentences(**changes)


def test_parts_and_other_studies_must_give_networks_the_same(tmp_path: Path) -> None:
    ids, shape = tuple("abcdef"), (6, 1, 8, 8)
    numbers = Samples(np.zeros(shape, np.int64), ids)
    for other in (Samples(np.zeros(shape, np.float32), ids), Samples({"x": np.zeros(shape, np.int64)}, ids)):
        with pytest.raises(ValueError, match=r"must be of one kind and shape, got \w.* in 'mine'") as raised:
            Dataset("mine", other, numbers, 1)
        one, _, two = str(raised.value).partition(", got ")[2].removesuffix(" in 'mine'").partition(" and ")
        assert one != two
    Dataset("mine", replace(numbers, inputs=np.zeros(shape, np.int32), ids=tuple("uvwxyz")), numbers, 1)
    path = write(quick(tmp_path), tmp_path / "study.yaml")
    says = r"the kind and shape whole numbers \(1, 8, 8\), as these are, got float32 \(1, 8, 8\) in 'wide'"
    with pytest.raises(ValueError, match=says):
        resolve._other("wide", str(path), Dataset("mine", None, numbers, 1))


def test_a_data_set_refuses_labels_that_are_none_of_its_task() -> None:
    some = sentences()
    for task, labels, said in [
        ("next-token", some.labels, "one of each position for the task 'next-token'"),
        ("classification", some.inputs["input_ids"], "one of each sample"),
        ("next-tokens", some.labels, "did you mean 'next-token'"),
    ]:
        with pytest.raises(ValueError, match=said):
            Dataset("own", None, replace(some, labels=labels), 30, task=task)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (
            np.ones((6, 4), np.bool_),
            r"`mask` must have the shape of the labels, \(6, 5\), .* got \(6, 4\) in",
        ),
        (np.ones((6, 1), np.bool_), r"got \(6, 1\)"),
        (
            np.arange(5) % 2 == np.zeros((6, 1)),
            "`labels` must ask for an answer of the task 'next-token', got",
        ),
        (np.arange(5) == np.ones((6, 1)), "got none in 'own'; give samples in which a position that counts"),
    ],
)
def test_a_data_set_of_tokens_refuses_a_mask_of_others_and_one_that_leaves_nothing_to_predict(
    mask: np.ndarray, said: str
) -> None:
    tokens = sentences().inputs["input_ids"]
    held_out = Samples(tokens, tuple("abcdef"), labels=tokens, mask=mask)
    with pytest.raises(ValueError, match=said):
        Dataset("own", None, held_out, 30, task="next-token")
    assert Dataset("own", None, replace(held_out, labels=np.arange(6)), 30).held_out.mask is mask


@pytest.mark.parametrize("positions", ["all", "mean", 2])
def test_padded_sentences_in_a_dictionary_give_what_each_gives_alone(positions: Any) -> None:
    network, some = encoder(), sentences()
    names = choose(list_layers(network, some), ["default"]).names
    assert names == ("act",)
    found = np.concatenate([each["act"] for each in extract(network, names, some, positions=positions)])
    for row, length in enumerate(LENGTHS):
        tokens = torch.from_numpy(some.inputs["input_ids"][row : row + 1, :length])
        with torch.no_grad():
            alone = network(input_ids=tokens, attention_mask=torch.ones_like(tokens))["hidden"][0].numpy()
        counted = found[row][~np.isnan(found[row]).any(axis=1)]
        if positions == "mean":
            np.testing.assert_allclose(counted, alone.mean(axis=0, keepdims=True), atol=1e-6)
        elif positions == "all":
            np.testing.assert_allclose(counted, alone, atol=1e-6)
        else:
            assert len(counted) == min(2, length)
            assert all(np.isclose(alone, each, atol=1e-6).all(axis=1).any() for each in counted)


def test_arrays_that_are_read_only_or_turned_round_are_taken() -> None:
    tokens = np.arange(12).reshape(6, 2)
    turned = tokens[::-1, ::-1]
    turned.flags.writeable = False
    network = nn.Sequential(nn.Embedding(12, 3), nn.ReLU())
    layers = [
        np.concatenate([each["1"] for each in extract(network, ["1"], Samples(array, tuple("abcdef")))])
        for array in (tokens, turned)
    ]
    assert np.array_equal(layers[0][::-1, ::-1], layers[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_network_in_sixteen_bits_gives_what_it_computes_by_itself(dtype: torch.dtype) -> None:
    network, some = encoder(dtype), sentences()
    found = np.concatenate([each["act"] for each in extract(network, ["act"], some)])
    with torch.no_grad():
        inputs = {name: torch.from_numpy(array) for name, array in some.inputs.items()}
        expected = network(**inputs)["hidden"].float().numpy()
    counted = found[some.mask]
    np.testing.assert_allclose(counted, expected[some.mask], atol=0.02)
    assert np.array_equal(torch.from_numpy(counted).to(dtype).float().numpy(), counted)


def test_text_is_cut_into_sequences_that_do_not_go_on_in_another_text() -> None:
    texts = {"a": bytes(range(256)) * 5, "b": b"short", "c": "ä".encode() * 100}
    data = text_dataset("made", texts)
    parts = {}
    for samples in data.parts:
        for tokens, mask, each in zip(samples.inputs, samples.mask, samples.ids, strict=True):
            parts[each] = bytes(tokens[mask].astype(np.uint8))
            assert not tokens[~mask].any()
        assert np.array_equal(samples.labels, samples.inputs)
    for title, text in texts.items():
        starts = range(0, len(text), 128)
        assert b"".join(parts[f"{title}/{start}"] for start in starts) == text
    assert len(parts) == 10 + 1 + 2
    assert (len(data.held_out), data.classes, data.items, data.task) == (1, 256, "sequences", "next-token")
    with pytest.raises(ValueError, match="must have 10 sequences of 128 bytes"):
        text_dataset("made", {"b": b"short"})


def test_files_of_text_are_found_below_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    for name in ("inner/a.txt", "b.txt", "folder.txt/c.txt", "other.md", ".hidden.txt", "__MACOSX/d.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name[:1].encode() * 1200)
    data = load_source(DataSource(f"text:{folder}"))
    titles = {each.rpartition("/")[0] for part in data.parts for each in part.ids}
    assert titles == {"b.txt", "folder.txt/c.txt", "inner/a.txt"}
    moved = folder.rename(tmp_path / "moved")
    assert load_source(DataSource(f"text:{moved}")).digest == data.digest
    alone = load_source(DataSource(f"text:{moved / 'b.txt'}", held_out="all"))
    assert len(alone.held_out) == 10
    with pytest.raises(ValueError, match="must be a file of text, or a folder"):
        load_source(DataSource(f"text:{tmp_path / 'nowhere'}"))
    (moved / "gone.txt").symlink_to(tmp_path / "nowhere")
    forget_datasets()
    with pytest.raises(ValueError, match=r"that can be read, got '.*gone\.txt' \(No such file"):
        load_source(DataSource(f"text:{moved}"))


def test_the_jargon_file_is_read_where_it_is_and_its_absence_or_damage_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanmatch.networks.data.text._DEBIAN", tmp_path / "nowhere")
    source = DataSource("jargon-file", str(tmp_path))
    with pytest.raises(ValueError, match="apt-get install jargon-text"):
        load_source(source)
    file = tmp_path / "jargon.txt.gz"
    file.write_bytes(gzip.compress(b"foo: bar. " * 200)[:-9])
    with pytest.raises(ValueError, match="damaged file"):
        load_source(source)
    file.write_bytes(gzip.compress(b"foo: bar. " * 200))
    assert load_source(source).held_out.ids == ("jargon/1152",)
