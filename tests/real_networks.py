"""Real architectures, where their neurons are by hand, and copies of them with permuted hidden units."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import nn
from torchvision import models

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Permuted:
    """Hidden units of a network that are put in another order, with the weights that see it.

    Attributes
    ----------
    made
        Modules that make the units, or work on each by itself: their weights' first dimension.
    read
        Modules that read them: their weights' second dimension.
    layers
        Layers whose units they are.
    groups
        Units stay in these many groups.
    """

    made: Sequence[str]
    read: Sequence[str]
    layers: Sequence[str]
    groups: int = 1

    def apply(self, weights: Weights, rng: np.random.Generator) -> NDArray[np.int64]:
        """Permute weights in place; return the order of the units."""
        units = len(weights[f"{self.made[0]}.weight"])
        size = units // self.groups
        order = np.concatenate([start + rng.permutation(size) for start in range(0, units, size)])
        for module in self.made:
            for name in ("weight", "bias", "running_mean", "running_var"):
                if f"{module}.{name}" in weights:
                    weights[f"{module}.{name}"].copy_(weights[f"{module}.{name}"][order].clone())
        for module in self.read:
            weights[f"{module}.weight"].copy_(weights[f"{module}.weight"][:, order].clone())
        return order


@dataclass(frozen=True)
class PermutedLSTM:
    """Hidden units of an LSTM's only layer, four gates each."""

    lstm: str
    read: Sequence[str]
    layers: Sequence[str]

    def apply(self, weights: Weights, rng: np.random.Generator) -> NDArray[np.int64]:
        units = weights[f"{self.lstm}.weight_hh_l0"].shape[1]
        order = rng.permutation(units)
        gates = np.concatenate([gate * units + order for gate in range(4)])
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            weights[f"{self.lstm}.{name}"].copy_(weights[f"{self.lstm}.{name}"][gates].clone())
        recurrent = weights[f"{self.lstm}.weight_hh_l0"]
        recurrent.copy_(recurrent[:, order].clone())
        for module in self.read:
            weights[f"{module}.weight"].copy_(weights[f"{module}.weight"][:, order].clone())
        return order


@dataclass(frozen=True)
class Real:
    """An architecture.

    Attributes
    ----------
    make, shape
        Builds the network, for inputs of this shape.
    last
        Says of a module's name whether its neurons are the last dimension; else they are the second.
    images
        Says of a module's name which dimension the images are.
    permuted
        Hidden units that a copy has in another order.
    unlike
        Parts of names of modules whose output is no tensor of images.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    permuted: Sequence[Permuted | PermutedLSTM]
    last: Callable[[str], bool] = lambda _name: False
    images: Callable[[str], int] = lambda _name: 0
    unlike: Sequence[str] = field(default_factory=tuple)


def by_hand(network: nn.Module, inputs: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each module's output under its name, and under ``name_1`` and so on when it is called again."""
    names = {module: name for name, module in network.named_modules() if name}
    seen: list[tuple[str, torch.Tensor]] = []
    calls: dict[str, int] = {}

    def keep(module: nn.Module, _inputs: object, output: object) -> None:
        output = output[0] if isinstance(output, tuple) else output
        name = names[module]
        calls[name] = number = calls.get(name, -1) + 1
        while number and f"{name}_{number}" in names.values():
            number += 1
        seen.append((f"{name}_{number}" if number else name, output.clone()))

    hooks = [module.register_forward_hook(keep) for module in names]
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            network.eval()(inputs.clone())
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for hook in hooks:
            hook.remove()
    yield from seen


def arranged_by_hand(output: torch.Tensor, images: int, *, last: bool) -> NDArray[np.float32]:
    """Return an output as (images, positions, neurons)."""
    output = output.movedim(images, 0)
    if not last and output.ndim > 2:
        output = output.movedim(1, -1)
    return output.reshape(len(output), -1, output.shape[-1]).numpy()


class Recurrent(nn.Module):
    """An LSTM over the rows of an image, a dense layer after each step, and the class by the last."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.lstm = nn.LSTM(6, 10, batch_first=batch_first)
        self.tanh = nn.Tanh()
        self.fc = nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = x[:, 0] if self.batch_first else x[:, 0].transpose(0, 1)
        out = self.fc(self.tanh(self.lstm(steps)[0]))
        return out[:, -1] if self.batch_first else out[-1]


class Tokens(nn.Module):
    """A transformer over the rows of an image, tokens before images or after."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.embed = nn.Linear(6, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 24, activation=nn.GELU(), batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x[:, 0] if self.batch_first else x[:, 0].transpose(0, 1)
        return self.head(self.encoder(self.embed(tokens)).mean(1 if self.batch_first else 0))


def _mlp(block: str, first: str, activation: str, second: str) -> Permuted:
    return Permuted(
        [f"{block}.{first}"], [f"{block}.{second}"], [f"{block}.{first}", f"{block}.{activation}"]
    )


_EFFICIENT = "features.2.0.block"
_MAXVIT = "blocks.0.layers.0.layers"
_REGNET = "trunk_output.block1.block1-0.f"
_ENCODER = "encoder.layers.encoder_layer_0"

REAL: dict[str, Real] = {
    "resnet18": Real(
        models.resnet18,
        (3, 64, 64),
        [
            Permuted(
                ["layer1.0.conv1", "layer1.0.bn1"], ["layer1.0.conv2"], ["layer1.0.conv1", "layer1.0.relu"]
            )
        ],
    ),
    "densenet121": Real(
        lambda: models.DenseNet(8, (2, 2), 16, num_classes=5),
        (3, 64, 64),
        [
            Permuted(
                ["features.denseblock1.denselayer1.conv1", "features.denseblock1.denselayer1.norm2"],
                ["features.denseblock1.denselayer1.conv2"],
                ["features.denseblock1.denselayer1.conv1", "features.denseblock1.denselayer1.relu2"],
            )
        ],
    ),
    "mobilenet_v3_small": Real(
        models.mobilenet_v3_small,
        (3, 64, 64),
        [
            Permuted(
                [f"features.2.block.{name}" for name in ("0.0", "0.1", "1.0", "1.1")],
                ["features.2.block.2.0"],
                ["features.2.block.0.2", "features.2.block.1.2"],
            )
        ],
    ),
    "shufflenet": Real(lambda: models.shufflenet_v2_x0_5(num_classes=5), (3, 64, 64), []),
    "googlenet": Real(
        lambda: models.googlenet(num_classes=5, init_weights=False, aux_logits=False), (3, 64, 64), []
    ),
    "convnext_tiny": Real(
        models.convnext_tiny,
        (3, 64, 64),
        [_mlp("features.1.0.block", "3", "4", "5")],
        last=lambda name: name.rpartition("block.")[2] in ("1", "2", "3", "4", "5") and "block." in name,
    ),
    "swin_t": Real(
        models.swin_t,
        (3, 64, 64),
        [_mlp("features.1.0.mlp", "0", "1", "3")],
        last=lambda name: name not in ("features.0.0", "permute", "avgpool"),
    ),
    "swin_v2_t": Real(
        models.swin_v2_t,
        (3, 64, 64),
        [_mlp("features.1.1.mlp", "0", "1", "3")],
        last=lambda name: name not in ("features.0.0", "permute", "avgpool"),
        unlike=["cpb_mlp", "attn.sigmoid"],
    ),
    "vit": Real(
        lambda: models.VisionTransformer(32, 8, 2, 2, 32, 64),
        (3, 32, 32),
        [_mlp(f"{_ENCODER}.mlp", "0", "1", "3")],
        last=lambda name: name != "conv_proj",
    ),
    "maxvit": Real(
        lambda: models.MaxVit((64, 64), 8, 4, [8, 16], [1, 1], 8, 0.0),
        (3, 64, 64),
        [
            _mlp(f"{_MAXVIT}.window_attention.mlp_layer", "1", "2", "3"),
            Permuted(
                [
                    f"{_MAXVIT}.MBconv.layers.{name}"
                    for name in ("conv_a.0", "conv_a.1", "conv_b.0", "conv_b.1")
                ]
                + [f"{_MAXVIT}.MBconv.layers.squeeze_excitation.fc2"],
                [f"{_MAXVIT}.MBconv.layers.{name}" for name in ("squeeze_excitation.fc1", "conv_c")],
                [f"{_MAXVIT}.MBconv.layers.conv_a.2", f"{_MAXVIT}.MBconv.layers.conv_b.2"],
            ),
        ],
        last=lambda name: (
            any(part in name for part in ("attn_layer", "mlp_layer", "stochastic_dropout"))
            or name.endswith(("window_attention.partition_op", "grid_attention.partition_op", "_swap"))
        ),
    ),
    "regnet_y_400mf": Real(
        models.regnet_y_400mf,
        (3, 64, 64),
        [
            Permuted(
                [f"{_REGNET}.b.0", f"{_REGNET}.b.1", f"{_REGNET}.se.fc2"],
                [f"{_REGNET}.se.fc1", f"{_REGNET}.c.0"],
                [f"{_REGNET}.b.0", f"{_REGNET}.b.2", f"{_REGNET}.se"],
                groups=6,
            )
        ],
    ),
    "efficientnet_b0": Real(
        models.efficientnet_b0,
        (3, 64, 64),
        [
            Permuted(
                [f"{_EFFICIENT}.{name}" for name in ("0.0", "0.1", "1.0", "1.1", "2.fc2")],
                [f"{_EFFICIENT}.2.fc1", f"{_EFFICIENT}.3.0"],
                [f"{_EFFICIENT}.0.2", f"{_EFFICIENT}.1.2", f"{_EFFICIENT}.2"],
            )
        ],
    ),
    "r3d_18": Real(
        torchvision.models.video.r3d_18,
        (3, 4, 32, 32),
        [
            Permuted(
                ["layer1.0.conv1.0", "layer1.0.conv1.1"],
                ["layer1.0.conv2.0"],
                ["layer1.0.conv1.0", "layer1.0.conv1.2"],
            )
        ],
    ),
    **{
        f"lstm, batch_first={first}": Real(
            lambda first=first: Recurrent(batch_first=first),
            (1, 7, 6),
            [PermutedLSTM("lstm", ["fc"], ["lstm", "tanh"])],
            last=lambda _name: True,
            images=lambda _name, first=first: 0 if first else 1,
        )
        for first in (True, False)
    },
    **{
        f"transformer, batch_first={first}": Real(
            lambda first=first: Tokens(batch_first=first),
            (1, 7, 6),
            [
                Permuted(
                    ["encoder.layers.1.linear1"],
                    ["encoder.layers.1.linear2"],
                    ["encoder.layers.1.linear1", "encoder.layers.1.activation"],
                )
            ],
            last=lambda _name: True,
            images=lambda name, first=first: 0 if first or name == "head" else 1,
        )
        for first in (True, False)
    },
}
