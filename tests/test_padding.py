"""Padding: which positions are no samples, by what networks tell their attention, and by the data's mask."""

import numpy as np
import pytest
import torch
from made import Encoder, images, seeded, whole
from torch import nn

from spanmatch.networks.data import Images
from spanmatch.networks.layers import UnusableLayerError, choose
from spanmatch.networks.probing import list_layers


class Padded(nn.Module):
    """Tells an encoder that the last two tokens are padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, nhead=2, dim_feedforward=8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = torch.arange(x.shape[2]).expand(len(x), -1) >= x.shape[2] - 2
        return self.encoder(x[:, 0], src_key_padding_mask=padding)[:, 0]


def test_tokens_that_attention_is_told_are_padding_are_left_out() -> None:
    network, some = seeded(Padded), images(4, 1, 5, 6)
    found = whole(network, ("encoder.layers.0", "encoder.layers.1.relu"), some)
    with torch.no_grad():
        alone = network.encoder.layers[0](torch.from_numpy(some.pixels[:, 0, :3])).numpy()
    np.testing.assert_allclose(found["encoder.layers.0"][:, :3], alone, atol=1e-5)
    assert found["encoder.layers.1.relu"].shape == (4, 5, 8)
    for values in found.values():
        assert np.isnan(values[:, 3:]).all()
        assert not np.isnan(values[:, :3]).any()


class Told(nn.Module):
    """Tells its attention which tokens are padding: those whose first number is negative."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.embed = nn.Linear(6, 6)
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=how != "tokens first")
        self.own = HuggingFaces()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = x[..., 0] < 0
        z = self.embed(x)
        if self.how == "attention_mask":
            return self.own(z, attention_mask=(~padding).long())
        if self.how in ("float", "large"):
            least = -torch.inf if self.how == "float" else -1e9
            padding = torch.zeros(padding.shape).masked_fill(padding, least)
        if self.how == "tokens first":
            return self.layer(z.transpose(0, 1), src_key_padding_mask=padding)
        return self.layer(z, None, padding)


class HuggingFaces(nn.Module):
    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        return hidden_states * attention_mask[..., None]


@pytest.mark.parametrize("how", ["bool", "float", "large", "tokens first", "attention_mask"])
def test_padding_is_left_out_in_every_layer_of_tokens(how: str) -> None:
    network, some = seeded(lambda: Told(how)), images(4, 5, 6)
    some.stored[:, 0, 0] = 1  # at least one token that counts
    padding = some.pixels[..., 0] < 0
    assert padding.any()
    layers = ("embed", "own" if how == "attention_mask" else "layer.relu")
    for positions in ("all", 2, "mean"):
        for layer, values in whole(network, layers, some, positions=positions, batch_size=3).items():
            if positions == "all":
                assert np.array_equal(np.isnan(values).all(axis=2), padding), layer
            elif positions == "mean":
                assert not np.isnan(values).any()
            else:
                kept = np.minimum((~padding).sum(axis=1), 2)
                assert np.array_equal((~np.isnan(values)).all(axis=2).sum(axis=1), kept)
    embedded = whole(network, ("embed",), some, positions="mean")["embed"]
    with torch.no_grad():
        tokens = network.embed(torch.from_numpy(some.pixels)).numpy()
    expected = [rows[~left_out].mean(axis=0) for rows, left_out in zip(tokens, padding, strict=True)]
    np.testing.assert_allclose(embedded[:, 0], expected, atol=1e-5)


class Sometimes(nn.Module):
    """Tells its attention of padding only where there is some, and has a map beside the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(5, 6, 3)
        self.embed = nn.Linear(6, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.embed(x) + self.conv(x).mean()
        padding = x[..., 0] > 50
        return self.attention(z, z, z, key_padding_mask=padding if padding.any() else None)[0]


def test_padding_that_depends_on_the_images_is_left_out_too() -> None:
    network, some = seeded(Sometimes), images(4, 5, 6)
    some.stored[3, 2:, 0] = 99
    found = whole(network, ("embed", "attention"), some, batch_size=2)
    for values in found.values():
        assert np.isnan(values[3, 2:]).all()
        assert not np.isnan(values[:3]).any()
        assert not np.isnan(values[3, :2]).any()
    with pytest.raises(
        UnusableLayerError, match=r"'conv' gives 4 positions of which it cannot be told which are"
    ):
        whole(network, ("conv",), some, batch_size=2)


def test_the_mask_of_the_data_leaves_positions_out() -> None:
    network, some = seeded(Encoder), images(4, 1, 7, 6)
    mask = np.arange(7) < np.array([[7], [3], [1], [5]])
    masked = Images(some.stored, some.labels, some.ids, mask=mask)
    assert masked.digest != some.digest
    assert np.array_equal(masked.slice(1, 3).mask, mask[1:3])
    layers = ("embed", "encoder.layers.1.relu", "head")
    found, usual = whole(network, layers, masked, batch_size=3), whole(network, layers, some)
    for layer in layers[:2]:
        assert np.array_equal(np.isnan(found[layer]).all(axis=2), ~mask)
        np.testing.assert_allclose(found[layer][mask], usual[layer][mask], atol=1e-6)
    np.testing.assert_allclose(found["head"], usual["head"], atol=1e-6)  # one position
    short = Images(some.stored, some.labels, some.ids, mask=mask[:, :6])
    with pytest.raises(
        ValueError, match=r"`layers` must have 6 positions, as the `mask` .* got 7 of 'embed'"
    ):
        whole(network, layers, short)
    for wrong in (mask[:2], mask[0]):
        with pytest.raises(ValueError, match=r"`mask` must have the shape \(images, positions\) of 4 images"):
            Images(some.stored, some.labels, some.ids, mask=wrong)
    with pytest.raises(TypeError, match="`mask` must be bool"):
        Images(some.stored, some.labels, some.ids, mask=mask.astype(np.int64))


class Asked(nn.Module):
    """Its attention is told in some way which tokens are padding, or something else."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.embed = nn.Linear(6, 6)
        self.own, self.kept, self.looking = HuggingFaces(), Kept(), Looking()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding, z = x[..., 0] < 0, self.embed(x)
        if self.how == "causal":
            return self.looking(z, attention_mask=torch.ones(5, 5).tril())
        if self.how == "additive":
            return self.own(z, attention_mask=torch.zeros(padding.shape).masked_fill(padding, -1e9))
        if self.how == "own sense":
            return self.kept(z, key_padding_mask=~padding)
        if self.how == "others' keys":
            return self.attention(z, z.flip(1), z.flip(1), key_padding_mask=padding.flip(1))[0]
        self.attention(z, z, z, key_padding_mask=padding)
        return self.attention(z, z, z, key_padding_mask=padding.flip(1))[0]


class Looking(nn.Module):
    """Has a mask of which token looks at which."""

    def forward(self, z: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return attention_mask @ z


class Kept(nn.Module):
    """Has a mask of the name of torch's and of the other sense."""

    def forward(self, z: torch.Tensor, key_padding_mask: torch.Tensor) -> torch.Tensor:
        return z * key_padding_mask[..., None]


def test_an_additive_mask_leaves_out_what_it_makes_small() -> None:
    network, some = seeded(lambda: Asked("additive")), images(4, 5, 6)
    found = whole(network, ("embed",), some)["embed"]
    assert np.array_equal(np.isnan(found).all(axis=2), some.pixels[..., 0] < 0)


@pytest.mark.parametrize("count", [4, 5])
def test_a_mask_of_which_token_may_look_where_leaves_nothing_out(count: int) -> None:
    network, some = seeded(lambda: Asked("causal")), images(count, 5, 6)
    assert not np.isnan(whole(network, ("embed",), some, batch_size=5)["embed"]).any()


@pytest.mark.parametrize("how", ["own sense", "others' keys", "two masks"])
def test_padding_that_cannot_be_told_is_refused_and_the_data_may_say_it(how: str) -> None:
    network, some = seeded(lambda: Asked(how)), images(4, 5, 6)
    with pytest.raises(UnusableLayerError, match=r"'embed' gives 5 positions .* padding .*; say .* `mask`"):
        whole(network, ("embed",), some)
    mask = some.pixels[..., 0] >= 0
    said = Images(some.stored, some.labels, some.ids, mask=mask)
    assert np.array_equal(np.isnan(whole(network, ("embed",), said)["embed"]).all(axis=2), ~mask)


def test_an_activation_function_of_which_padding_cannot_be_told_is_not_passed_over() -> None:
    class Activated(Asked):
        def __init__(self) -> None:
            super().__init__("two masks")
            self.act = nn.GELU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(super().forward(x))

    listed = list_layers(seeded(Activated), images(4, 5, 6))
    with pytest.raises(UnusableLayerError, match=r"'act' gives 5 positions .* padding .*; say .* `mask`"):
        choose(listed, ["default"])
    with pytest.raises(UnusableLayerError, match=r"'act' gives 5 positions"):
        choose(listed, [("act", "last")])
