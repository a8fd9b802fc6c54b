"""Language models: the transformer against NumPy, the loss of next tokens, and training to the same bits."""

from collections import namedtuple
from dataclasses import make_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import erf, log_softmax, softmax
from test_training import FileStore, assert_same
from torch import nn

from spanmatch.networks.architectures import build
from spanmatch.networks.data import Dataset, Samples, load_dataset
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.evaluation import evaluate, foresees, judge, require_logits
from spanmatch.networks.layers import choose
from spanmatch.networks.logits import logits_of
from spanmatch.networks.outcome import Epoch
from spanmatch.networks.probing import list_layers
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.training import train
from spanmatch.networks.training_tasks.next_token import NEXT_TOKEN
from spanmatch.networks.training_tasks.training_task import Targets

ADAMW = Recipe(3, 16, 3e-3, 0.9, 0.1, optimiser="adamw")


@pytest.fixture(scope="module")
def topics() -> Dataset:
    """The first sequences of Python's topics, some of them padded."""
    whole = load_dataset("python-topics")
    assert (whole.items, whole.classes) == ("sequences", 256)
    return replace(whole, training=whole.training.slice(0, 90), held_out=whole.held_out.slice(0, 20))


def by_hand(network: nn.Module, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logits of sequences, one position and one head at a time."""
    of = {name: values.detach().double().numpy() for name, values in network.state_dict().items()}

    def dense(name: str, z: NDArray) -> NDArray:
        return z @ of[f"{name}.weight"].T + of.get(f"{name}.bias", 0)

    def norm(name: str, z: NDArray) -> NDArray:
        z = (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
        return z * of[f"{name}.weight"] + of[f"{name}.bias"]

    logits = []
    for sequence in tokens:
        z = of["tokens.weight"][sequence] + of["positions.weight"][: len(sequence)]
        for block in network.blocks:
            attended = norm(f"{block}.norm1", z)
            query, key, value = (
                dense(f"{block}.attention.{part}", attended) for part in ("queries", "keys", "values")
            )
            mixed = np.zeros_like(z)
            for start in range(0, z.shape[1], 32):
                head = slice(start, start + 32)
                for now in range(len(sequence)):
                    scores = key[: now + 1, head] @ query[now, head] / np.sqrt(32)
                    mixed[now, head] = softmax(scores) @ value[: now + 1, head]
            z = z + dense(f"{block}.attention.output", mixed)
            hidden = dense(f"{block}.mlp.input", norm(f"{block}.norm2", z))
            z = z + dense(f"{block}.mlp.output", hidden * (1 + erf(hidden / np.sqrt(2))) / 2)
        logits.append(dense("logits", norm("norm", z)))
    return np.stack(logits)


def network(depth: int = 2) -> nn.Module:
    with deterministic(4):
        made = build(f"transformer{depth}", (128,), 256, 0.5)
        for weights in made.parameters():
            weights.data.add_(torch.randn_like(weights), alpha=0.2)
    return made.eval()


def test_the_transformer_computes_what_numpy_computes(topics: Dataset) -> None:
    tokens = topics.held_out.inputs[:2, :40]
    made = network()
    with torch.no_grad():
        found = made(torch.from_numpy(tokens)).numpy()
    np.testing.assert_allclose(found, by_hand(made, tokens), rtol=1e-3, atol=2e-3)


def test_its_default_layers_are_the_neurons_of_its_perceptrons(topics: Dataset) -> None:
    chosen = choose(list_layers(network(4), topics.held_out), ["default"])
    assert [(one.name, one.positions, one.neurons) for one in chosen.layers] == [
        (f"block{number}.mlp.gelu", 128, 256) for number in range(1, 5)
    ]
    assert not chosen.left_out
    for shape, width, said in [((1, 8, 8), 1, r"must be \(length,\)"), ((128,), -1, "`width` must be")]:
        with pytest.raises(ValueError, match=said):
            build("transformer2", shape, 256, width)


def test_the_loss_and_accuracy_are_those_of_every_token_that_follows_one(topics: Dataset) -> None:
    held_out = topics.held_out
    assert not held_out.mask.all()
    logits = np.random.default_rng(0).normal(size=(*held_out.labels.shape, 256)).astype(np.float32)
    entropies, right = [], []
    for row, (tokens, mask) in enumerate(zip(held_out.labels, held_out.mask, strict=True)):
        for now in range(mask.sum() - 1):
            entropies.append(-log_softmax(logits[row, now].astype(np.float64))[tokens[now + 1]])
            right.append(logits[row, now].argmax() == tokens[now + 1])
    targets = Targets(torch.from_numpy(held_out.labels), torch.from_numpy(held_out.mask))
    given = torch.from_numpy(logits.copy())
    found = NEXT_TOKEN.judge(given, targets)
    assert (found.right, found.answers) == (sum(right), len(right))
    assert found.loss == pytest.approx(sum(entropies), rel=1e-6)
    assert NEXT_TOKEN.loss(given, targets).item() == pytest.approx(np.mean(entropies), rel=1e-5)
    # what stands behind the end has no part in it
    logits[~held_out.mask] = np.nan
    logits[np.arange(20), held_out.mask.sum(axis=1) - 1] = np.nan
    assert NEXT_TOKEN.judge(torch.from_numpy(logits), targets) == found
    whole = held_out.slice(0, 1)
    unmasked = NEXT_TOKEN.judge(given[:1], Targets(torch.from_numpy(whole.labels)))
    assert whole.mask.all()
    assert unmasked.answers == 127


def test_a_batch_in_which_nothing_is_predicted_teaches_nothing_and_judges_nobody(topics: Dataset) -> None:
    alone = torch.arange(5).expand(3, -1) == 1
    logits = torch.zeros(3, 5, 7, requires_grad=True)
    NEXT_TOKEN.loss(logits, Targets(torch.zeros(3, 5, dtype=torch.long), alone)).backward()
    assert not logits.grad.any()
    part = topics.held_out.slice(0, 3)
    single = Samples(part.inputs[:, :1], part.ids, labels=part.labels[:, :1], items="lines")
    with pytest.raises(ValueError, match=r"`labels` must ask for an answer .* got none in these lines"):
        evaluate(network(), single, task=NEXT_TOKEN)


class Looks(nn.Module):
    """Gives logits of tokens by what it sees of others."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.embed, self.head = nn.Embedding(256, 8), nn.Linear(8, 256)
        self.near, self.past = nn.Conv1d(8, 8, 3, padding=1), nn.GRU(8, 8, batch_first=True)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, tokens: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        z = self.embed(tokens)
        if self.how == "ahead":
            z = self.near(z.transpose(1, 2)).transpose(1, 2)
        elif self.how == "backward":
            z = self.past(z.flip(1))[0].flip(1)
        elif self.how == "everywhere":
            padding = None if attention_mask is None else attention_mask == 0
            z = self.mix(z, z, z, key_padding_mask=padding)[0]
        else:
            z = self.past(z)[0]
        return self.head(z)


@pytest.mark.parametrize("how", ["ahead", "backward", "everywhere", "past"])
@pytest.mark.parametrize("padded", ["right", "left", "not"])
def test_a_network_that_sees_what_it_is_to_predict_is_neither_trained_nor_judged(
    topics: Dataset, how: str, padded: str
) -> None:
    data = replace(topics, training=None)
    if padded != "not":
        whole, side = topics.held_out.slice(0, 5), 1 if padded == "right" else -1
        inputs = {
            "tokens": whole.inputs[:, ::side],
            "attention_mask": np.tri(5, 128, 60, np.int64)[:, ::side],
        }
        held_out = Samples(inputs, whole.ids, labels=whole.labels[:, ::side], items="lines")
        data = Dataset("own", None, held_out, 256, task="next-token")
    with deterministic(2):
        made = Looks(how)
    assert (judge(made, data) is None) == (how != "past")
    assert foresees(made, data) == (how != "past")
    if how == "past":
        require_logits(made, data)
        return
    with pytest.raises(ValueError, match=r"`seeds` must train a network .* depend on no later token"):
        require_logits(made, data)


def test_a_network_is_judged_over_tokens_not_over_batches(topics: Dataset, monkeypatch) -> None:
    made = network()
    whole = evaluate(made, topics.held_out, task=NEXT_TOKEN)
    monkeypatch.setattr("spanmatch.networks.evaluation._BATCH_BYTES", 4 * 128 * 256 * 7)
    parts = evaluate(made, topics.held_out, task=NEXT_TOKEN)
    assert parts.accuracy == whole.accuracy
    assert parts.loss == pytest.approx(whole.loss, rel=1e-6)
    assert judge(made, topics) == parts
    assert judge(nn.Embedding(256, 5), topics) is None


def test_training_is_that_of_a_hand_written_loop(topics: Dataset) -> None:
    recipe = replace(ADAMW, epochs=1)
    tokens = torch.from_numpy(topics.training.inputs)
    targets = torch.from_numpy(topics.training.mask)
    with deterministic(5):
        made = build("transformer1", (128,), 256, 0.25)
        optimiser = torch.optim.AdamW(made.parameters(), lr=1, betas=(0.9, 0.99), weight_decay=0.1)
        for step, chosen in enumerate(torch.randperm(90).split(16)):
            optimiser.param_groups[0]["lr"] = recipe.rate(step, 6)
            labels = tokens[chosen][:, 1:].masked_fill(~targets[chosen][:, 1:], -100)
            loss = nn.functional.cross_entropy(made(tokens[chosen])[:, :-1].transpose(1, 2), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    trained = train("transformer1", 0.25, topics, 5, recipe)
    for name, values in made.state_dict().items():
        np.testing.assert_allclose(trained.checkpoints["final"].weights[name], values, rtol=1e-4, atol=1e-5)


def test_a_training_that_is_stopped_goes_on_to_the_same_bits(topics: Dataset, tmp_path: Path) -> None:
    keep = ("initial", "best", "final")
    undisturbed = train("transformer1", 0.25, topics, 5, ADAMW, keep=keep)
    losses = [epoch.held_out_loss for epoch in undisturbed.history]
    assert losses[-1] < undisturbed.checkpoints["initial"].loss - 1
    assert undisturbed.checkpoints["best"].epoch == losses.index(min(losses)) + 1
    assert_same(train("transformer1", 0.25, topics, 5, ADAMW, keep=keep), undisturbed)

    class Stopped(Exception):
        pass

    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise Stopped

    store = FileStore(tmp_path)
    with pytest.raises(Stopped):
        train("transformer1", 0.25, topics, 5, ADAMW, keep=keep, resume=store, on_epoch=stop)
    assert_same(train("transformer1", 0.25, topics, 5, ADAMW, keep=keep, resume=store), undisturbed)
    assert store.saved == [1, 2, 3]


def test_logits_are_found_in_what_language_models_give() -> None:
    logits = torch.ones(1)
    output = make_dataclass("Output", ["logits", "loss"])(logits, 1)
    assert all(logits_of(one) is logits for one in (logits, {"loss": 1, "logits": logits}, output))
    for other in ({"embedding": logits}, namedtuple("Output", "logits aux")(logits, logits)):
        assert logits_of(other) is other


def test_the_best_checkpoint_is_that_of_the_lowest_loss(topics: Dataset) -> None:
    astray = replace(ADAMW, epochs=4, learning_rate=1.0, weight_decay=0.0, schedule="step", milestones=())
    trained = train("transformer1", 0.25, topics, 5, astray, keep=("best", "final"))
    losses, accuracies = zip(
        *((one.held_out_loss, one.held_out_accuracy) for one in trained.history), strict=True
    )
    lowest = losses.index(min(losses))
    assert lowest not in (accuracies.index(max(accuracies)), len(losses) - 1)
    best = trained.checkpoints["best"]
    assert (best.epoch, best.loss) == (lowest + 1, losses[lowest])


def test_a_network_of_several_positions_refuses_augmentation(topics: Dataset) -> None:
    with pytest.raises(ValueError, match="`augment` must be empty for what is no image"):
        train("transformer1", 0.25, topics, 5, replace(ADAMW, augment=("flip",)))
    with pytest.raises(ValueError, match='`optimiser` must be "sgd" or "adamw"'):
        replace(ADAMW, optimiser="adam")
