"""What runs change of the whole process and put back, and counts of progress that pieces may repeat."""

import gc
import logging
import multiprocessing.forkserver
import subprocess
import sys
import types
from collections.abc import Callable
from multiprocessing import spawn
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import zarr
from faults import Fault
from pipeline import QUICK, carried_out, in_this_process, quick
from rich.console import Console

from flows.command.screen import Bars
from flows.run.prepared import look
from flows.study.model import Study
from spanmatch import GramMatrix
from storage.arrays import Artefact, GroupWriter
from storage.root import Root
from tasks import reduction as comoments
from tasks import work
from tasks.children import light_workers
from tasks.cluster import Cluster
from tasks.garbage import collect, others_at_rest
from tasks.progress import Tally, listening
from tasks.reduction import CoMomentsUnit, SegmentLayer
from tasks.running import compute
from tasks.stage import Stage
from tasks.statistic import Reading, moments_of
from tasks.ui_progress import StepCounter
from tasks.work import Job


def stored(root: Root, values: np.ndarray) -> Artefact:
    with root.publish("segments/key.zarr") as folder:
        writer = GroupWriter(folder, {})
        writer.write("layer", values)
        return Artefact("segments", "key", "segments/key.zarr", writer.finish())


def precision(dtype: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        root = Root.prepare(folder / "root")
        values = np.random.default_rng(0).normal(1e4, 1, size=(20, 3, 4)).astype(dtype)
        part = SegmentLayer("layer", stored(root, values), "content")
        unit = CoMomentsUnit("itself", part, part, "tile", "tile", 1.0)
        ((_, _, content),) = comoments.compute(root, [unit], Reading(root))
        (itself,) = moments_of(content)
        gram = GramMatrix.from_comoments(*[itself.comoments] * 3)
        exact = values.reshape(-1, 4).astype(np.float64)
        np.testing.assert_array_equal(gram.matrix, GramMatrix.from_activations(exact, exact).matrix)

    return check


def process_state() -> dict[str, Any]:
    server: Any = multiprocessing.forkserver._forkserver
    return {
        "Dask's log": logging.getLogger("distributed").level,
        "main": dict(vars(sys.modules["__main__"])),
        "preparation": spawn.get_preparation_data,
        "preloaded": server._preload_modules,
        "flags": multiprocessing.util._args_from_interpreter_flags,
        "zarr": zarr.config.get("threading.max_workers"),
    }


def cluster_changes_nothing(_: Path) -> None:
    before = process_state()
    with Cluster() as cluster:
        assert cluster.run(abs, -1) == 1
        assert vars(sys.modules["__main__"]) == before["main"]
        assert logging.getLogger("distributed").level > logging.CRITICAL
    assert process_state() == before


def zarrs_threads(folder: Path) -> None:
    stored(Root.prepare(folder / "root"), np.ones((3, 2, 1), "float32"))
    assert zarr.config.get("threading.max_workers") is None


def program(_: Path) -> None:
    """The program may have no `__file__`; other processes that start meanwhile import it."""
    bare = types.ModuleType("__main__")
    bare.__spec__ = None
    with pytest.MonkeyPatch.context() as patch:
        for main in (sys.modules["__main__"], bare):
            patch.setitem(sys.modules, "__main__", main)
            before = dict(vars(main))
            others = spawn.get_preparation_data("another")
            with light_workers():
                assert vars(main) == before
                light = spawn.get_preparation_data("Dask Worker process (from Nanny)")
                assert not {"init_main_from_name", "init_main_from_path"} & light.keys()
                assert spawn.get_preparation_data("another") == others
            assert vars(main) == before


USING_WORKERS = """
import sys
from importlib import import_module
sys.path.append(sys.argv[1])  # as the command line does
from tasks.cluster import Cluster
with Cluster() as cluster:
    print(cluster.run(import_module, sys.argv[2]).__file__)
"""


def own_module(name: str) -> Callable[[Path], None]:
    """Start workers in a folder that holds a module of one of our names, and one of a name of its own."""

    def check(folder: Path) -> None:
        here = folder / "here"
        here.mkdir()
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("X = 1")
        (here / "their_own.py").write_text("X = 1")
        (folder / "program.py").write_text(USING_WORKERS)
        done = subprocess.run(
            [sys.executable, str(folder / "program.py"), str(here), "their_own"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.strip() == str(here / "their_own.py"), done.stderr

    return check


def collector(_: Path) -> None:
    with others_at_rest():
        before = gc.get_freeze_count()
        assert before
        made = [[] for _ in range(1000)]
        collect()
        assert gc.get_freeze_count() >= before + len(made), "what is left rests with the others"
    assert not gc.get_freeze_count()
    collect()
    assert not gc.get_freeze_count()
    gc.freeze()
    try:
        with others_at_rest():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()


class Watched(Bars):
    """The bars of the terminal, which tell that the last count has come."""

    def __init__(self, study: Study) -> None:
        super().__init__(Console(quiet=True), look(study).wanted)
        self.last = Event()

    def advanced(self, stage: str, part: str, done: int) -> None:
        super().advanced(stage, part, done)
        if part == "last":
            self.last.set()

    def shown(self, stage: str) -> tuple[float, float | None]:
        bar = self._progress.tasks[self._tasks[stage]]
        return bar.completed, bar.total


def twice(folder: Path) -> None:
    """One job of several is run two times, as Dask does when a worker dies."""
    study = quick(
        folder, training={**QUICK["training"], "epochs": 3}, layers=["block2.relu2", "block3.relu2"]
    )
    seen: dict[str, tuple[float, float | None]] = {}

    with (
        pytest.MonkeyPatch.context() as patch,
        Watched(study) as bars,
        listening(counter := StepCounter(bars)),
        in_this_process() as cluster,
    ):
        patch.setattr(work, "_LEAST_SECONDS", 0.0)  # a job for each group

        def repeat(root: Root, stage: Stage, cut: list[Job]) -> None:
            if not cut:
                assert stage.name in ("permuted", "exemplars"), "the study asks for neither"
                return
            steps, first, name = sum(job.steps for job in cut), cut[0], stage.name
            for _ in range(2):  # the second time as after a repair
                counter.planned(name, steps, len(cut))
                for _ in range(2):
                    compute(stage, first, root, cluster)
                bars.last.clear()
                cluster.client.log_event(cluster._topic, {"stage": name, "done": {"last": 0}})
                assert bars.last.wait(30)
            seen[name] = bars.shown(name)
            assert counter.percent == 100 * first.steps / steps
            counter.finished(name)
            counter.advanced(name, first.units[0].group, 1)  # late
            assert bars.shown(name) == (steps, steps)

        carried_out(study, cluster, before=repeat)
    assert seen == {
        "networks": (3, 6),
        "segments": (30, 120),
        "comoments": (1, 4),
        "profiles": (1, 2),
        "matches": (1, 2),
        "measures": (1, 2),
    }


def beyond(_: Path) -> None:
    tally = Tally(3)
    for part, done in (("a", 2), ("a", 1), ("b", 1), ("c", 1)):
        tally.note(part, done)
    assert tally.steps == 3


PROCESS = [
    Fault(14, "Zarr's threads", "one for the whole process, at import", "only ours are one", zarrs_threads),
    *(
        Fault(14, f"Gram matrix of {dtype} activations", before, "in their own precision", precision(dtype))
        for dtype, before in {
            "float64": "rounded to float32",
            "float32": "in their own precision",
            "float16": "in float32, which holds them exactly",
        }.items()
    ),
    Fault(
        14,
        "a cluster of this machine, opened and closed",
        "Dask's log stayed silent, the program's `__spec__` and `__file__` were gone meanwhile",
        "the process is as it was before",
        cluster_changes_nothing,
    ),
    Fault(
        14,
        "a program without `__file__`",
        "`__spec__` and `__file__` were taken away while workers started, for all threads",
        "the program is not touched",
        program,
    ),
    *(
        Fault(14, f"{name} in the current folder", "runs hung", "ours is taken", own_module(name))
        for name in ("tasks.py", "storage/__init__.py", "spanmatch.py")
    ),
    Fault(14, "objects that were frozen before", "the report woke them", "they stay frozen", collector),
    Fault(14, "a job that is run again", "51/36 images", "each step counts once", twice),
    Fault(14, "more steps than were planned", "beyond 100 %", "at most as many as planned", beyond),
]
