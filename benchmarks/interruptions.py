"""Kill a small study at random moments, run it again each time: ``python -m benchmarks.interruptions``.

Each round starts from nothing, kills the whole process group with SIGKILL, gives the same command again, and
compares results to the byte.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.clock import markdown
from storage.records import Records
from storage.root import Root
from tasks.stages import STAGES

STUDY = {
    "name": "interrupted",
    "dataset": "digits",
    "architecture": "vgg9-digits",
    "seeds": [0, 1],
    "training": {"epochs": 4},
    "layers": ["block3.relu2", "classifier.relu1"],
    "images": 200,
    "segment_images": 100,
    "epsilons": [0.3, 0.5],
    "root": "root",
}
RESULTS = ("similarity.csv", "simple_matches.jsonl")


def command(folder: Path) -> list[str]:
    study, root = folder.parent / "study.yaml", folder / "root"
    return [sys.executable, "-m", "spanmatch", "run", str(study), "--root", str(root)]


def start(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603 - our own command
        command(folder), env=environment, stdout=quiet, stderr=quiet, start_new_session=True
    )


def results(folder: Path) -> list[str]:
    return [(folder / "root" / name).read_text() for name in RESULTS]


def records(folder: Path) -> int:
    kept = Records(Root.at(folder / "root"))
    return sum(len(keys) for stage in STAGES for keys in kept.kept(stage).values())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interruptions", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often it is killed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanmatch-") as where:
        rows = rounds(Path(where), arguments.times, random.Random(arguments.seed))  # noqa: S311 - no secret
    print(markdown(rows, ("killed after", "records then", "exit code", "results", "jobs computed, reused")))
    good = sum(row[2:4] == ("0", "identical") for row in rows)
    print(f"\n{good} of {len(rows)} finished with identical results.")
    sys.exit(good != len(rows))


def rounds(where: Path, times: int, moments: random.Random) -> list[tuple[str, ...]]:
    (where / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    environment = {**os.environ, "PREFECT_HOME": str(where / "prefect")}
    for undisturbed in (where / "first", where / "undisturbed"):  # the first builds Prefect's database
        before = time.monotonic()
        assert start(undisturbed, environment).wait() == 0
        length = time.monotonic() - before
    expected = results(undisturbed)
    rows = []
    for number in range(times):
        folder, moment = where / str(number), moments.uniform(0, length)
        run = start(folder, environment)
        time.sleep(moment)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        found = records(folder)
        code = start(folder, environment).wait()
        same = code == 0 and results(folder) == expected
        rows.append(
            (f"{moment:.1f} s", str(found), str(code), "identical" if same else "differ", work(folder))
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def work(folder: Path) -> str:
    ledger = json.loads((folder / "root" / "ledger.json").read_text())
    computed, reused = (sum(counts[kind] for counts in ledger.values()) for kind in ("computed", "reused"))
    return f"{computed}, {reused}"


if __name__ == "__main__":
    main()
