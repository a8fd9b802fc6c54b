"""Networks and samples that are compared in one call, and the same by torch's own hooks."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from spanmatch import GramMatrix


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def convolutional(channels: int = 6) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(8 * 16, 10),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Linear(10, 4),
    )


def resnet18() -> nn.Module:
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes=10)


def convnext() -> nn.Module:
    return ConvNeXt([CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 2)])


def vit() -> nn.Module:
    return VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=48)


def swin() -> nn.Module:
    return SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=10)


def batches(values: torch.Tensor, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(part, torch.zeros(len(part))) for part in values.split(size)]


IMAGES = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(5))
LARGER = torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(6))
VALUES = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
BROKEN = VALUES.clone()
BROKEN[2, 1] = float("nan")


def dense(width: int = 5) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU())


def tanh() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 3))


def two() -> dict[str, nn.Module]:
    return {"a": seeded(dense, 0), "b": seeded(dense, 1)}


def by_hooks(network: nn.Module, names: list[str], values: torch.Tensor) -> dict[str, NDArray]:
    """Outputs of modules that are called once each, by torch's own hooks, copied at once."""
    found: dict[str, NDArray] = {}
    modules = dict(network.named_modules())
    handles = [
        modules[name].register_forward_hook(
            lambda _m, _i, output, name=name: found.__setitem__(name, output.detach().clone().numpy())
        )
        for name in names
    ]
    with torch.no_grad():
        network(values.clone())
    for handle in handles:
        handle.remove()
    return found


def close(found: GramMatrix, x: NDArray, y: NDArray) -> None:
    expected = np.hstack((x, y)).astype(np.float64)
    np.testing.assert_allclose(found.matrix, expected.T @ expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.sums, expected.sum(axis=0), rtol=1e-5, atol=1e-4)
    assert found.n_samples == len(x)


def channels_first(values: NDArray) -> NDArray:
    return np.moveaxis(values, 1, -1) if values.ndim == 4 else values


class Encoder(nn.Module):
    """Tokens in, with a mask of those that count; a dictionary out."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, width)
        self.block = nn.TransformerEncoderLayer(width, 2, 24, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, 5)

    def forward(self, input_ids, attention_mask=None, labels=None):
        assert labels is None
        padding = None if attention_mask is None else attention_mask == 0
        states = self.block(self.embed(input_ids), src_key_padding_mask=padding)
        return {"logits": self.head(states), "states": states}


def sentences() -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(3)
    return [torch.randint(1, 30, (int(length),), generator=drawn) for length in (5, 9, 3, 7, 9, 4, 6, 8)]


def padded(rows: list[torch.Tensor], **more: object) -> dict[str, object]:
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.zeros(len(rows)), **more}
