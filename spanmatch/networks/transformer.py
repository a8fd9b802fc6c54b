"""A causal transformer over tokens, before whose sublayers values are normalised, as GPT-2 has it."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from spanmatch.networks.scaling import refuse_shape, scaled

# At width 1; heads keep their size, so that another width has more or fewer of them.
_FEATURES = 128
_HEAD = 32
_HIDDEN_SHARE = 4
# Of initial weights, as GPT-2 has it.
_DEVIATION = 0.02


class Attention(nn.Module):
    """Causal self-attention of several heads: no position sees a later one, whatever is padded behind it."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(features, features)
        self.keys = nn.Linear(features, features)
        self.values = nn.Linear(features, features)
        self.output = nn.Linear(features, features)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Mix (sequences, positions, features) over positions."""
        query, key, value = (
            part(z).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.queries, self.keys, self.values)
        )
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then a perceptron of one hidden layer at each position, both added to what comes in."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        hidden = _HIDDEN_SHARE * features
        self.norm1 = nn.LayerNorm(features)
        self.attention = Attention(features, heads)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = nn.Sequential(
            OrderedDict(input=nn.Linear(features, hidden), gelu=nn.GELU(), output=nn.Linear(hidden, features))
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Pass on (sequences, positions, features)."""
        z = z + self.attention(self.norm1(z))
        return z + self.mlp(self.norm2(z))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Gives for tokens (sequences, positions) the logits of the next one, (sequences, positions, tokens).

    The neurons of the perceptrons are layers ``block1.mlp.gelu``, ``block2.mlp.gelu``, …

    Parameters
    ----------
    depth
        Blocks.
    features, heads
        Of every position, and of how many heads attention has.
    length
        Positions at most.
    tokens
        Of the vocabulary.
    """

    def __init__(self, *, depth: int, features: int, heads: int, length: int, tokens: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(tokens, features)
        self.positions = nn.Embedding(length, features)
        self.blocks = [f"block{number}" for number in range(1, depth + 1)]
        for name in self.blocks:
            self.add_module(name, Block(features, heads))
        self.norm = nn.LayerNorm(features)
        self.logits = nn.Linear(features, tokens, bias=False)
        self.apply(_initialise)
        for name, weights in self.named_parameters():
            if name.endswith("output.weight"):  # two of each block are added up
                nn.init.normal_(weights, std=_DEVIATION / math.sqrt(2 * depth))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        z = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for name in self.blocks:
            z = self.get_submodule(name)(z)
        return self.logits(self.norm(z))  # type: ignore[no-any-return]


def transformer(depth: int, shape: Sequence[int], classes: int, width: float) -> Transformer:
    """Build a transformer of so many blocks for sequences of shape (length,) and a vocabulary of `classes`.

    At width 1 it has 128 features, 4 heads and 512 neurons a block.
    """
    if len(shape) != 1:
        rule = "(length,), that of sequences of tokens"
        refuse_shape(f"transformer{depth}", rule, shape, "take a data set of text, or another architecture")
    (heads,) = scaled([_FEATURES // _HEAD], width)
    return Transformer(depth=depth, features=heads * _HEAD, heads=heads, length=shape[0], tokens=classes)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_DEVIATION)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
