"""Print the memory that studies take: ``python -m benchmarks.memory [--architecture …] [--images …]``.

Counts the command and all the processes that it starts.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.clock import markdown

_EVERY_SECONDS = 0.1
_STUDY = """\
name: memory
dataset: fashion-mnist
architecture: {architecture}
seeds: [0, 1]
checkpoints: [initial]
layers: default
positions: all
images: {images}
segment_images: 500
epsilons: [0.15]
root: root
"""


def most_memory(command: list[str], folder: Path) -> dict[int, int]:
    """Run a command; return the most resident bytes of each of its processes, by process number."""
    most: dict[int, int] = {}
    with (folder / "output").open("w") as output:
        running = psutil.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        while running.poll() is None:
            for process in [running, *running.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    most[process.pid] = max(most.get(process.pid, 0), process.memory_info().rss)
            time.sleep(_EVERY_SECONDS)
    if running.returncode:
        raise RuntimeError((folder / "output").read_text()[-2000:])
    return most


def rows(architectures: list[str], sizes: list[int]) -> Iterator[tuple[str, ...]]:
    for architecture in architectures:
        for images in sizes:
            with tempfile.TemporaryDirectory(prefix="spanmatch-") as name:
                folder = Path(name)
                (folder / "study.yaml").write_text(_STUDY.format(architecture=architecture, images=images))
                start = time.monotonic()
                most = most_memory([sys.executable, "-m", "spanmatch", "run", "study.yaml"], folder)
                minutes = (time.monotonic() - start) / 60
                stored = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            yield (
                architecture,
                f"{images:,}",
                f"{max(most.values()) / 1e9:.2f} GB",
                f"{len(most)}",
                f"{stored / 1e9:.1f} GB",
                f"{minutes:.1f} min",
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--architecture", nargs="+", default=["vgg16", "resnet18"])
    parser.add_argument("--images", nargs="+", type=int, default=[2000, 4000])
    arguments = parser.parse_args()
    table = []
    for row in rows(arguments.architecture, arguments.images):
        print(*row, sep=", ", file=sys.stderr)  # many minutes pass before all are there
        table.append(row)
    print(
        markdown(table, ("network", "images", "largest process, at its peak", "processes", "on disk", "time"))
    )


if __name__ == "__main__":
    main()
