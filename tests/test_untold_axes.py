"""Dimensions of which it cannot be told what they are: refused, left out and said, or said by somebody."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from made import images, seeded, whole
from test_axes import Of, attention, conv2d, tokens
from torch import nn
from torch.nn import functional

from spanmatch.networks.layers import UnusableLayerError, choose
from spanmatch.networks.probing import list_layers

UNTOLD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "an input that nobody reads": (lambda: nn.Sequential(nn.ReLU()), (3, 4, 5), "0"),
    "scores of attention": (lambda: Of(attention, m=nn.Linear(6, 24)), (7, 6), "softmax"),
    "tokens added to channels": (
        lambda: Of(
            lambda s, x: s.m(x) + s.n(s.m(x).transpose(1, 2)).transpose(1, 2), m=tokens(), n=nn.Linear(7, 7)
        ),
        (7, 6),
        "add",
    ),
    "a mean over neurons": (
        lambda: Of(lambda s, x: s.m(x).mean(1, keepdim=True), m=conv2d()),
        (3, 4, 5),
        "mean",
    ),
    "neurons that are pooled": (lambda: nn.Sequential(tokens(), nn.MaxPool1d(2)), (7, 6), "1"),
    "an operation without a rule": (
        lambda: Of(lambda s, x: torch.linalg.inv(s.m(x)[:, :4]).relu(), m=conv2d()),
        (3, 4, 4),
        "relu",
    ),
    "a graph that is learnt": (
        lambda: Of(
            lambda s, x: torch.relu(torch.softmax(s.e @ s.e.T, -1) @ s.m(x)),
            m=tokens(),
            e=nn.Parameter(torch.ones(7, 2)),
        ),
        (7, 6),
        "relu",
    ),
    "a graph that is learnt, by einsum": (
        lambda: Of(
            lambda s, x: torch.relu(torch.einsum("nvc,vw->nwc", s.m(x), s.a)),
            m=tokens(),
            a=nn.Parameter(torch.ones(7, 7)),
        ),
        (7, 6),
        "relu",
    ),
    "weights on the left": (
        lambda: Of(lambda s, x: (s.w @ s.m(x)).relu(), m=tokens(), w=nn.Parameter(torch.ones(9, 7))),
        (7, 6),
        "relu",
    ),
    "images against images": (lambda: Of(lambda s, x: s.m(x) @ s.m(x).T, m=tokens()), (6,), "matmul"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_refused_with_what_to_do(name: str) -> None:
    make, shape, layer = UNTOLD[name]
    with pytest.raises(
        UnusableLayerError, match=r"it cannot be told which dimension is the .*; say which with"
    ):
        choose(list_layers(make(), shape), [layer])


def test_an_activation_function_that_cannot_be_told_is_not_passed_over() -> None:
    network = nn.Sequential(nn.ReLU(), nn.Identity())
    with pytest.raises(UnusableLayerError, match=r"'0' gives a tensor .*; say which with `neurons`"):
        choose(list_layers(network, (3, 4, 5)), ["default"])
    said = choose(list_layers(network, (3, 4, 5)), [("default", 1)]).layers
    assert [(layer.name, layer.positions, layer.neurons) for layer in said] == [("0", 20, 3)]


class Experts(nn.Module):
    """A mixture of experts: tokens of all samples go to two experts each, in the order of the experts."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.up, self.down = nn.Linear(6, 4), nn.Linear(6, 9), nn.Linear(9, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.flatten(0, 1)
        chosen = self.router(rows).topk(2).indices.flatten()
        order = chosen.argsort(stable=True)
        grouped = self.down(functional.gelu(self.up(rows[order // 2])))
        return grouped[order.argsort()].view(len(rows), 2, 6).sum(1).view(x.shape)


def test_rows_of_which_nobody_can_say_the_sample_are_left_out_by_default() -> None:
    """Tokens of a mixture of experts stand in another order in every network."""
    network = seeded(lambda: nn.Sequential(nn.Linear(6, 6), Experts(), nn.ReLU()))
    listed = list_layers(network, (7, 6))
    with pytest.raises(
        UnusableLayerError, match=r"shape \(28, 9\), .* which dimension is the samples; leave"
    ):
        choose(listed, ["1.gelu"])
    chosen = choose(listed, [("default", "last")])
    assert chosen.names == ("2",)
    assert "which dimension is the samples" in chosen.left_out["1.gelu"]
    some = images(3, 7, 6)
    found = whole(network, ("1",), some, neurons={"1": "last"})["1"].reshape(21, 6)
    expected = network[1](network[0](torch.from_numpy(some.pixels))).detach().numpy()
    np.testing.assert_allclose(found, expected.reshape(21, 6), rtol=1e-6, atol=1e-6)


def test_what_is_added_to_each_sample_leaves_it_that_sample() -> None:
    """The layer after a mixture of experts, whose rows nobody knew, in a network with residuals."""
    network = Of(lambda s, x: s.m(x + s.e(x)).flatten(0, 1).relu(), m=nn.Linear(6, 5), e=Experts())
    chosen = choose(list_layers(network, (7, 6)), ["default"])
    assert [(layer.name, layer.positions, layer.neurons) for layer in chosen.layers] == [("relu", 7, 5)]
    assert list(chosen.left_out) == ["e.gelu"]


def test_scores_of_attention_that_are_bent_are_left_out_by_default() -> None:
    """They have no neurons, wherever anybody looks: soft caps of scores, as in Gemma 2."""

    def capped(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = (
            part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.m(x).chunk(3, -1)
        )
        scores = torch.tanh(queries @ keys.transpose(-1, -2))
        return (scores.softmax(-1) @ values).transpose(1, 2).flatten(-2).relu()

    chosen = choose(list_layers(Of(capped, m=nn.Linear(6, 24)), (7, 6)), ["default"])
    assert chosen.names == ("relu",)
    assert "of which it cannot be told which dimension is the neurons" in chosen.left_out["tanh"]


REORDERED = {
    "sorted": lambda x: x.sort(dim=0).values,
    "sorted, the last by default": lambda x: x.T.sort().values.T,
    "the largest": lambda x: x.topk(len(x), dim=0).values,
    "turned over": lambda x: x.flip(0),
    "turned over, whatever the dimension": lambda x: x.flip([-1, -2]),
    "moved on": lambda x: x.roll(1, 0),
    "moved on as a whole": lambda x: x.roll(1),
    "selected": lambda x: x.index_select(0, x.sum(1).argsort()),
    "looked up": lambda x: x[x.sum(1).argsort()],
    "gathered": lambda x: x.gather(0, x.argsort(0)),
}


@pytest.mark.parametrize("how", REORDERED)
def test_tokens_of_all_samples_in_another_order_are_no_layer(how: str) -> None:
    """Rows are of two samples here; one order for both, and it cannot be told whose any row is."""
    network = Of(lambda s, x: REORDERED[how](s.m(x).flatten(0, 1)).relu(), m=nn.Linear(6, 5))
    with pytest.raises(UnusableLayerError, match="which dimension is the samples; leave it out"):
        choose(list_layers(network, (7, 6)), ["default"])
    rows = Of(lambda s, x: REORDERED[how](s.m(x)).relu(), m=nn.Linear(6, 5))  # one of each sample
    with pytest.raises(UnusableLayerError, match="which dimension is the samples; leave it out"):
        choose(list_layers(rows, (6,)), [("relu", "last")])
    apart = Of(lambda s, x: s.m(x).sort(dim=1).values.flip(-1).relu(), m=nn.Linear(6, 5))
    assert choose(list_layers(apart, (7, 6)), ["default"]).layers[0].neurons == 5


def test_a_pattern_that_only_answers_to_what_is_no_layer_says_why() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.ones(2, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ functional.relu(self.table).T

    for wanted in ("default", "rel*"):
        with pytest.raises(UnusableLayerError, match=r"'relu' gives .* that does not depend on the samples"):
            choose(list_layers(Table(), (4,)), [wanted])


def test_a_pattern_says_what_it_passes_over() -> None:
    network = Of(attention, m=nn.Linear(6, 24))
    chosen = choose(list_layers(network, (7, 6)), ["*"])
    assert "relu" in chosen.names
    assert "cannot be told which dimension is the neurons" in chosen.left_out["softmax"]
    assert not set(chosen.names) & set(chosen.left_out)
