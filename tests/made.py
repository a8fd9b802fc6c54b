"""Networks of somebody's own, made images, and their activations as whole arrays."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from spanmatch.networks.activations import extract
from spanmatch.networks.data import Images
from spanmatch.networks.layers import choose
from spanmatch.networks.probing import list_layers


def images(count: int, *shape: int, seed: int = 0) -> Images:
    pixels = np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)
    return Images(pixels, np.zeros(count, dtype=np.int64), tuple(f"made/{index}" for index in range(count)))


def whole(network: nn.Module, layers: tuple[str, ...], of: Images, **options) -> dict[str, NDArray]:
    batches = list(extract(network, layers, of, **options))
    return {layer: np.concatenate([batch[layer] for batch in batches]) for layer in layers}


def default(network: nn.Module, *shape: int) -> tuple[str, ...]:
    return choose(list_layers(network, shape), ["default"]).names


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()
    # running statistics other than 0 and 1, so that normalisation shows
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.linspace(-0.1, 0.1, module.num_features)
            module.running_var = torch.linspace(0.5, 2, module.num_features)
    return network


def flat(z: torch.Tensor) -> NDArray:
    """(images, channels, height, width) as (images, positions, neurons)."""
    return z.permute(0, 2, 3, 1).reshape(len(z), -1, z.shape[1]).numpy()


class Encoder(nn.Module):
    """Somebody's own transformer: three encoder layers over the rows of an image; an optional mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 16)
        layer = nn.TransformerEncoderLayer(16, nhead=2, dim_feedforward=24, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x[:, 0]), mask).mean(dim=1))


class Branching(nn.Module):
    """Data-dependent control flow, a module called three times, functions, and work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.relu_1 = nn.Tanh()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv(x))
        x += 1
        x = self.relu_1(x)
        x = self.relu(x - 0.9)
        if x.sum() > -1:
            x *= 2
        x = functional.gelu(x.mean((2, 3)))
        x = self.fc(x)
        return x.relu_() + self.relu(x - 0.1)
