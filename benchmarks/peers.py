"""Minibatch CKA beside other tools for heat maps: ``python -m benchmarks.peers``.

In an environment of its own, so that the project's stays as it is::

    pip install '.[torch]' torchvision pytorch-cka==1.1.3 torch_cka==0.21 tqdm

Each tool is a process of its own, so that its memory is its own, and runs in turn with bare forward passes.
Heat maps are compared with the estimate as it is defined, in double precision, of the same outputs. The
networks are those of `benchmarks.comparing`, but with a ReLU of its own for every place, for these tools see
of a module that is called twice the last call alone.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models.resnet import BasicBlock, ResNet

import spanmatch
from benchmarks.clock import in_turn, markdown, show_seconds
from benchmarks.comparing import KINDS

HeatMap = NDArray[np.float64]
Tool = Callable[[nn.Module, nn.Module, "DataLoader[Any]", list[str]], HeatMap]


class Block(BasicBlock):
    """A block of a ResNet18 that calls no module twice, and all in the order in which they are its own.

    `torch_cka` gives layers in the order of calls, under names in the order of modules.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as torchvision's
        super().__init__(*args, **kwargs)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        within = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        beside = x if self.downsample is None else self.downsample(x)
        found: torch.Tensor = self.relu2(within + beside)
        return found


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    found = ResNet(Block, [2, 2, 2, 2], num_classes=10)
    found.conv1, found.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()  # type: ignore[assignment]
    return found.eval()


def names(of: nn.Module) -> list[str]:
    return [name for name, module in of.named_modules() if type(module).__name__ in KINDS]


def ours(one: nn.Module, other: nn.Module, loader: "DataLoader[Any]", layers: list[str]) -> HeatMap:
    found = spanmatch.compare({"a": one, "b": other}, loader, layers=layers, minibatch_cka=True)
    matrix = found.matrix("minibatch_cka")
    return np.array([[matrix[x, y] for y in layers] for x in layers])


def pytorch_cka(one: nn.Module, other: nn.Module, loader: "DataLoader[Any]", layers: list[str]) -> HeatMap:
    from cka import compute_cka

    (found,) = compute_cka(one, other, loader, layers=layers, device="cpu", progress=False)
    return np.asarray(found.double())


def torch_cka(one: nn.Module, other: nn.Module, loader: "DataLoader[Any]", layers: list[str]) -> HeatMap:
    from torch_cka import CKA

    made = CKA(one, other, "a", "b", model1_layers=layers, model2_layers=layers, device="cpu")
    with torch.no_grad():
        made.compare(loader, loader)
    return np.asarray(made.export()["CKA"].double())


def exact(one: nn.Module, other: nn.Module, loader: "DataLoader[Any]", layers: list[str]) -> HeatMap:
    """Return the estimate as Nguyen et al. 2021 and Song et al. 2012 define it, of outputs in float64."""
    crossed, own = 0.0, [0.0, 0.0]
    with torch.no_grad():
        for images, _ in loader:
            grams = [_grams(each, images, layers) for each in (one, other)]
            crossed = crossed + _hsic(grams[0], grams[1])
            own = [sums + _hsic(each, each).diagonal() for sums, each in zip(own, grams, strict=True)]
    return np.asarray(crossed / torch.sqrt(torch.outer(*own)))  # type: ignore[arg-type]


def _grams(of: nn.Module, images: torch.Tensor, layers: list[str]) -> torch.Tensor:
    """Return inner products of samples without the diagonal, (layers, n, n)."""
    found: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            vectors = output.flatten(1).double()
            vectors -= vectors.mean(dim=0)  # unbiased HSIC is the same without
            found[name] = (vectors @ vectors.T).fill_diagonal_(0)

        return hook

    hooks = [of.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    of(images)
    for each in hooks:
        each.remove()
    return torch.stack([found[name] for name in layers])


def _hsic(k: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return unbiased HSIC of all with all, (layers, layers): equation 5 of Song et al. 2012."""
    n = k.shape[-1]
    trace = torch.einsum("aij,bij->ab", k, other)
    rows, other_rows = k.sum(dim=2), other.sum(dim=2)
    means = torch.outer(rows.sum(dim=1), other_rows.sum(dim=1)) / ((n - 1) * (n - 2))
    return (trace + means - 2 / (n - 2) * rows @ other_rows.T) / (n * (n - 3))


TOOLS: Mapping[str, Tool] = {"spanmatch": ours, "pytorch-cka": pytorch_cka, "torch_cka": torch_cka}


def loaded(images: int, batch: int) -> "DataLoader[Any]":
    torch.manual_seed(2)
    return DataLoader(TensorDataset(torch.randn(images, 3, 32, 32), torch.zeros(images)), batch_size=batch)


def measured(tool: str, images: int, batch: int, runs: int) -> tuple[list[float], HeatMap | None]:
    """Return seconds of bare passes, of the tool, and the peak of resident memory in bytes; and its map."""
    one, other, loader = network(0), network(1), loaded(images, batch)
    found: list[HeatMap] = []

    def bare() -> None:
        with torch.no_grad():
            for values, _ in loader:
                one(values)
                other(values)

    sides = (
        [bare]
        if tool == "bare"
        else [bare, lambda: found.append(TOOLS[tool](one, other, loader, names(one)))]
    )
    times = in_turn(*sides, runs=runs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return [times[0], times[-1], peak], found[0] if found else None


def rows(images: int, batch: int, runs: int, tools: list[str]) -> Iterator[tuple[str, ...]]:
    expected = exact(network(0), network(1), loaded(images, batch), names(network(0)))
    maps: dict[str, HeatMap] = {}
    for tool in ["bare", *tools]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "map.npy"
            options = [f"--images={images}", f"--batch={batch}", f"--runs={runs}", f"--to={path}"]
            command = [sys.executable, "-m", "benchmarks.peers", "--tool", tool, *options]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - itself
            bare, spent, peak = json.loads(done.stdout.splitlines()[-1])
            if path.exists():
                maps[tool] = np.load(path)
        of_exact = of_ours = ""
        if tool in maps:
            of_exact = f"{np.abs(maps[tool] - expected).max():.1e}"
            of_ours = f"{np.abs(maps[tool] - maps['spanmatch']).max():.1e}" if "spanmatch" in maps else ""
        cells = show_seconds(spent), show_seconds(bare), f"{spent / bare:.2f}", f"{peak / 1e9:.2f} GB"
        yield tool, *cells, of_exact, of_ours


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--runs", type=int, default=1, help="runs that a median is taken of")
    parser.add_argument("--tools", default=",".join(TOOLS), help="those beside bare passes, with commas")
    parser.add_argument("--tool", choices=["bare", *TOOLS], help="this one, in this process")
    parser.add_argument("--to", type=Path, help="where its heat map goes")
    of = parser.parse_args()
    if of.tool:
        numbers, found = measured(of.tool, of.images, of.batch, of.runs)
        if found is not None:
            np.save(of.to, found)
        print(json.dumps(numbers))
        return
    header = ("tool", "time", "bare passes", "ratio", "memory", "off the exact", "off spanmatch")
    table = list(rows(of.images, of.batch, of.runs, of.tools.split(",")))
    print(f"{of.images:,} images in batches of {of.batch}:\n\n{markdown(table, header)}")
    print(f"\n{os.cpu_count()} cores; load at the end {os.getloadavg()[1]:.1f}.")


if __name__ == "__main__":
    main()
