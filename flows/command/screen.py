"""Terminal output: progress bars, tables, the ledger, and where the report is."""

from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from flows.command.status import Status
from flows.run.preview import Preview
from flows.study.model import Study
from spanmatch.reporting import (
    StudyResults,
    SummaryTable,
    grid_sentences,
    judged_line,
    left_out_sentences,
    mark_sentences,
    summary_rows,
    warning_sentences,
)
from storage.result_files import REPORT
from storage.root import Root
from tasks.cluster import Workers
from tasks.progress import Tally
from tasks.stages import KINDS, STAGES
from tasks.wanted import Wanted

if TYPE_CHECKING:
    from flows.command.prune import Survey
    from spanmatch.networks.layers import Layer
    from storage.inventory import Item

_WIDEST = 10_000  # more columns than any table has


class Bars:
    """A progress bar for each stage that has something to compute."""

    def __init__(self, console: Console, wanted: Wanted) -> None:
        self._work = {name: stage.bar(wanted) for name, stage in STAGES.items()}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._tallies: dict[str, Tally] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, stage: str, steps: int, units: int) -> None:
        """Draw a bar for the stage, or start it again after a repair."""
        if not units:
            return
        self._tallies[stage] = Tally(steps)
        if stage in self._tasks:
            self._progress.reset(self._tasks[stage], total=steps)
        else:
            self._tasks[stage] = self._progress.add_task(self._work[stage], total=steps)

    def advanced(self, stage: str, part: str, done: int) -> None:
        """Move the stage's bar, forwards alone: what is finished stays so when a count comes late."""
        if stage in self._tasks:
            tally, task = self._tallies[stage], self._progress.tasks[self._tasks[stage]]
            tally.note(part, done)
            self._progress.update(task.id, completed=max(task.completed, tally.steps))

    def finished(self, stage: str) -> None:
        """Fill the stage's bar: events that count steps may come late."""
        if stage in self._tasks:
            task = self._progress.tasks[self._tasks[stage]]
            self._progress.update(self._tasks[stage], completed=task.total)

    def noticed(self, message: str) -> None:
        """Say something above the bars."""
        _warn(self._progress.console, [message])


def show_summary(console: Console, results: StudyResults, root: Root) -> None:
    """Show similarity by layer, the ledger, and where the report is."""
    for table in summary_rows(results):
        _show_table(console, _summary_table(table))
    for sentence in [*grid_sentences(results), *mark_sentences(results)]:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    _warn(console, [f"warning: {sentence}" for sentence in warning_sentences(results)])
    if judged := judged_line(results):
        console.print(judged, highlight=False)
    work = ", ".join(
        f"{stage} {counts['computed']} computed {counts['reused']} reused"
        for stage, counts in results.ledger.items()
    )
    console.print(f"ledger: {work}", highlight=False)
    console.print(f"report: {root.where(REPORT)}", highlight=False, soft_wrap=True)


def show_status(console: Console, study: Study, status: Status) -> None:
    """Show what is done of each stage, and what a run would compute; then the layers that it would not."""
    table = Table(title=f"{study.name} in {Root.at(study.root).where()}", title_justify="left")
    for column in ("stage", "done", "to compute"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in status.stages:
        table.add_row(stage.stage, str(stage.done), str(stage.total - stage.done))
    _show_table(console, table)
    _warn(console, [*status.notices, *left_out_sentences(status.left_out)])


def show_preview(console: Console, foreseen: Preview, root: Root, workers: Workers) -> None:
    """Show what computing the rest would take: bytes, memory and time."""
    table = Table(title="a run would take", title_justify="left")
    for column in ("stage", "writes", "reads", "memory of a worker", "time"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in foreseen.stages:
        sizes = (stage.written, stage.read, stage.memory)
        table.add_row(stage.stage, *map(decimal, sizes), _duration(stage.seconds))
    table.add_row("results, and around", decimal(foreseen.results), "", "", _duration(foreseen.around))
    table.add_section()
    sizes = (foreseen.written, foreseen.read, foreseen.memory)
    table.add_row("all", *map(decimal, sizes), _duration(foreseen.seconds))
    _show_table(console, table)
    free = root.place.free()
    room = "" if free is None else f"{decimal(free)} free where the root is; "
    source = (
        "rates of earlier runs under this root"
        if foreseen.measured
        else (
            "networks as timed just now, and other work as reckoned: no run under this root has measured it"
        )
    )
    say = f"{room}{workers.at_once} workers with {decimal(workers.memory)} each; {source}"
    console.print(say, markup=False, highlight=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{hours:.1f} h"


def show_survey(console: Console, root: Root, found: "Survey") -> None:
    """Show what lies under a root by kind, and say what is left alone although nothing refers to it."""
    table = Table(title=root.where(), title_justify="left")
    for column in ("kind", "referred to", "size", "unused", "size"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind in reversed(KINDS):
        used, unused = (
            [item for item in items if item.kind == kind]
            for items in ((*found.used, *found.shared), found.unused)
        )
        table.add_row(kind.name, str(len(used)), _size(used), str(len(unused)), _size(unused))
    table.add_section()
    all_used = (*found.used, *found.shared)
    table.add_row("all", str(len(all_used)), _size(all_used), str(len(found.unused)), _size(found.unused))
    _show_table(console, table)
    if found.shared:
        say = f"{len(found.shared)} files of {_size(found.shared)} also hold results that nothing refers to"
        console.print(say, markup=False, highlight=False, soft_wrap=True)
    for items, reason in (
        (found.recent, "nothing refers to them, but a run may have just written them; see --older-than"),
        (found.foreign, f"they hold files that are not spanmatch's, such as {_foreign(found.foreign)}"),
        (found.undecided, "a study lacks what they may stand on; run it first"),
    ):
        if items:
            say = f"left alone: {len(items)} of {_size(items)}: {reason}"
            console.print(say, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _size(items: "Sequence[Item]") -> str:
    return decimal(sum(item.size for item in items))


def _foreign(items: "Sequence[Item]") -> str:
    return next((str(item.foreign) for item in items), "")


def show_layers(
    console: Console,
    study: Study,
    layers: "Sequence[Layer]",
    compared: Collection[str],
    items: str = "images",
) -> None:
    """Show every layer with its output and where its neurons are, and which of them the study compares."""
    table = Table(title=f"layers of {study.architecture}", title_justify="left")
    for column in ("layer", "kind", "output", "neurons", "positions", "compared"):
        table.add_column(column, justify="right" if column in ("neurons", "positions") else "left")
    for layer in layers:
        sizes = ("–", "–") if layer.problem else (str(layer.neurons), str(layer.positions))
        yes = "yes" if layer.name in compared else ""
        texts = (layer.name, layer.kind, layer.described_of(items), *sizes, yes)
        table.add_row(*map(Text, texts))
    _show_table(console, table)


def _show_table(console: Console, table: Table) -> None:
    """Print a table as wide as it is: a screen may break its lines, but no name in it is cut short."""
    natural = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    wide = Console(file=console.file, width=natural, force_terminal=console.is_terminal)
    wide.print(table, crop=False)


def _warn(console: Console, sentences: Iterable[str]) -> None:
    for sentence in sentences:
        console.print(sentence, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _summary_table(summary: SummaryTable) -> Table:
    table = Table(title=f"mean similarity, {summary.title}", title_justify="left")
    for index, column in enumerate(summary.header):
        table.add_column(column, justify="right" if index else "left")
    for cells in summary.cells:
        table.add_row(*cells)
    return table
