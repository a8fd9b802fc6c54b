"""What `spanmatch status` foretells, beside what then happens: ``python -m benchmarks.previews [--quick]``.

Each study is previewed and run in processes of their own. Nothing else should run meanwhile.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.clock import markdown
from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.run.preview import preview, with_paces
from flows.run.rates import read_rates
from flows.study.file import read_study
from storage.root import Root
from tasks.cluster import workers_of

OURS = "benchmarks.previews"
STUDIES = Path("studies")
DIGITS: dict[str, Any] = yaml.safe_load((STUDIES / "digits.yaml").read_text(encoding="utf-8"))
TEXT: dict[str, Any] = yaml.safe_load((STUDIES / "jargon-file-transformer2.yaml").read_text(encoding="utf-8"))
FASHION: dict[str, Any] = yaml.safe_load(
    (STUDIES / "fashion-mnist-resnet20-small.yaml").read_text(encoding="utf-8")
)
BRIEF = {"epochs": 2, "batch_size": 64, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.0005}
KINDS: dict[str, dict[str, Any]] = {
    "digits": DIGITS,
    "digits, one ε more": {**DIGITS, "epsilons": [*DIGITS["epsilons"], 0.4]},
    "digits, streamed": {**DIGITS, "activations": "stream", "seeds": [0, 1]},
    "digits, a grid of means": {**DIGITS, "pairs": "grid", "positions": "mean", "seeds": [0, 1]},
    "text, transformer": {
        **TEXT,
        "dataset": "python-topics",
        "training": {**TEXT["training"], "epochs": 2, "samples": 3000},
        "seeds": [0, 1],
        "samples": 300,
    },
    "Fashion-MNIST, ResNet20": {**FASHION, "seeds": [0, 1], "images": 1000},
}
SAME_ROOT = {"digits, one ε more": "digits"}


def foretold(path: Path, root: str) -> dict[str, float]:
    """What `spanmatch status` says, told by a process that has done nothing before."""
    command = [sys.executable, "-m", OURS, "--foretell", str(path), root]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - itself
    return dict(json.loads(said.stdout.splitlines()[-1]))


def foretell(path: Path, root: str) -> None:
    study = read_study(path).with_options(root=root)
    prepared = look(study)
    stages = foresee(prepared)
    rates = with_paces(stages, read_rates(prepared.root))
    told = preview(prepared, stages, rates, workers_of(None).at_once)
    print(json.dumps({"bytes": told.written, "memory": told.memory, "seconds": told.seconds}))


def happened(path: Path, root: str) -> dict[str, float]:
    before, since = size_of(Path(root)), time.perf_counter()
    command = [str(Path(sys.executable).parent / "spanmatch"), "run", str(path), "--root", root]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603 - our own command
    seconds = time.perf_counter() - since
    peak = read_rates(Root.at(root)).peak
    return {"bytes": size_of(Path(root)) - before, "memory": peak, "seconds": seconds}


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small studies: does it work?")
    parser.add_argument("--foretell", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", help="of the studies, those with this in their name")
    options = parser.parse_args()
    if options.foretell:
        foretell(Path(options.foretell[0]), options.foretell[1])
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, study in KINDS.items():
            if (options.only or "") not in name:
                continue
            brief = {"training": BRIEF, "layers": ["default"], "images": 60, "seeds": [0, 1]}
            values = {**study, **brief} if options.quick and study["dataset"] == "digits" else study
            if options.quick and study["dataset"] != "digits":
                continue
            path = Path(folder) / "study.yaml"
            path.write_text(yaml.safe_dump(values), encoding="utf-8")
            root = str(Path(folder) / SAME_ROOT.get(name, name).replace(" ", "-"))
            told = foretold(path, root)
            took = happened(path, root)
            rows.append(
                (
                    name,
                    *(f"{told[what] / 1e6:,.1f}, {took[what] / 1e6:,.1f}" for what in ("bytes", "memory")),
                    f"{told['seconds']:.0f}, {took['seconds']:.0f}",
                    *(f"{told[what] / took[what]:.2f}" for what in ("bytes", "memory", "seconds")),
                )
            )
            print(rows[-1], file=sys.stderr, flush=True)
    header = (
        "study",
        "MB written: foretold, written",
        "MB of a worker: foretold, reached",
        "s: foretold, took",
        "bytes",
        "memory",
        "time",
    )
    print(markdown(rows, header))


if __name__ == "__main__":
    main()
