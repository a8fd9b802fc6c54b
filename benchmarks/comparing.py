"""What `spanmatch.compare` costs beside bare forward passes: ``python -m benchmarks.comparing``.

Two ResNet18 with random weights in CIFAR form, convolutions, ReLUs and the last dense layer, random images.
Each case is a process of its own, so that its memory is its own; both sides run in turn in it, and what
`compare` loads is in its first run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torchvision.models import resnet18

import spanmatch
from benchmarks.clock import in_turn, markdown, show_seconds
from spanmatch.networks import Layer

KINDS = ("Conv2d", "ReLU", "Linear")


@dataclass(frozen=True)
class Case:
    """What is compared, and how."""

    what: str
    images: int
    batch: int
    options: dict[str, Any]
    measure: str = ""


CASES = {
    "means": Case("grid, means over positions", 1024, 128, {}, "cka"),
    "whole maps": Case("grid, minibatch CKA beside", 1024, 128, {"minibatch_cka": True}, "minibatch-cka"),
    "all positions": Case("same names, all positions", 256, 64, {"pairs": "same"}),
}


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    found = resnet18(num_classes=10)
    found.conv1, found.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    return found.eval()


def wanted(layer: Layer) -> bool:
    return layer.kind in KINDS


def measured(case: Case, runs: int) -> Iterator[tuple[str, ...]]:
    """Give the rows of a case."""
    networks = {"a": network(0), "b": network(1)}
    loader = [
        (part, torch.zeros(len(part))) for part in torch.randn(case.images, 3, 32, 32).split(case.batch)
    ]
    results = []

    def bare() -> None:
        with torch.no_grad():
            for images, _ in loader:
                for each in networks.values():
                    each(images)

    def compared() -> None:
        results.append(spanmatch.compare(networks, loader, layers=wanted, **case.options))

    theirs, ours = in_turn(bare, compared, runs=runs)
    memory = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"
    (result, *_) = results
    what = f"{case.what}: {len(result.pairs):,} pairs, {case.images:,} images in batches of {case.batch}"
    yield what, show_seconds(ours), show_seconds(theirs), f"{ours / theirs:.2f}", memory
    if case.measure:
        start = time.perf_counter()
        result.matrix(case.measure)
        yield (
            f"{case.measure} of all these pairs after that",
            show_seconds(time.perf_counter() - start),
            "",
            "",
            "",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, to see that it works")
    parser.add_argument("--runs", type=int, default=1, help="runs that a median is taken of")
    parser.add_argument("--case", choices=list(CASES), help="this one, in this process")
    arguments = parser.parse_args()
    if arguments.case:
        case = CASES[arguments.case]
        few = {"images": 8, "batch": 4} if arguments.quick else {}
        print(json.dumps(list(measured(replace(case, **few), arguments.runs))))
        return
    table: list[list[str]] = []
    for name in CASES:
        command = [sys.executable, "-m", "benchmarks.comparing", "--case", name, *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - itself
        table += json.loads(done.stdout)
    print(markdown(table, ("what", "compare", "bare passes", "ratio", "resident memory")))
    print(f"\n{os.cpu_count()} cores; load at the end {os.getloadavg()[1]:.1f}.")


if __name__ == "__main__":
    main()
