"""The figure of how networks were trained: losses and accuracy by epoch."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from spanmatch.errors import InputValueError
from spanmatch.reporting.aggregate import training_histories
from spanmatch.reporting.names import shown_network
from spanmatch.reporting.panels import (
    add_legend,
    label_figure,
    legend_height,
    panel_figure,
    set_title,
)
from spanmatch.reporting.report_figure import FigureTexts, ReportFigure
from spanmatch.reporting.results import EpochRow, StudyResults
from spanmatch.reporting.theme import GRID, group_colour, group_dashes, style_axes

__all__ = ["TRAINING", "training_figure"]

_WIDTH_INCHES, _HEIGHT_INCHES = 10.0, 3.3
_MAX_MARKED_EPOCHS = 20  # with more, markers would merge into a thick line
_LOGARITHMIC_FROM = 20  # a loss that falls by this factor or more would lie along the bottom of a linear axis
_MANY_DECADES = 1000  # over more than this there is no room for 2 and 5 between the powers of ten


def training_figure(results: StudyResults) -> Figure:
    """Draw training loss, held-out loss and held-out accuracy against epochs, one line for each network.

    Raises
    ------
    ValueError
        If the results hold no history of training.
    """
    histories = training_histories(results)
    if not histories:
        raise InputValueError(
            "`results.training` must hold at least one epoch, got none; leave the figure out where no "
            "history of training is known"
        )
    names = [shown_network(network) for network in histories]
    figure = panel_figure(_WIDTH_INCHES, max(_HEIGHT_INCHES, 0.6 + legend_height(names)))
    training_ax, held_out_ax, accuracy_ax = figure.subplots(1, 3)
    held_out_ax.sharey(training_ax)
    marked = max(len(history) for history in histories.values()) <= _MAX_MARKED_EPOCHS
    for place, history in enumerate(histories.values()):
        epochs = [row.epoch for row in history]
        for ax, values in (
            (training_ax, [row.training_loss for row in history]),
            (held_out_ax, [row.held_out_loss for row in history]),
            (accuracy_ax, [row.accuracy for row in history]),
        ):
            (line,) = ax.plot(epochs, values, color=group_colour(place), linestyle=group_dashes(place))
            line.set(label=names[place], linewidth=1.4 if marked else 1.0)
            line.set(marker="o" if marked else "", markersize=3.2)
    for ax, title in (
        (training_ax, "training loss"),
        (held_out_ax, "held-out loss"),
        (accuracy_ax, f"held-out {results.terms.accuracy}"),
    ):
        set_title(ax, title)
        _style_epochs(ax, results.training)
    _style_losses(training_ax, results.training)
    held_out_ax.tick_params(labelleft=False, length=0, which="both")
    _style_accuracy(accuracy_ax, results.training)
    label_figure(figure, "epoch", None)
    handles = [
        Line2D([], [], color=group_colour(place), linestyle=group_dashes(place), linewidth=2)
        for place in range(len(names))
    ]
    add_legend(figure, handles, names, place="outside right center", title="network")
    return figure


def _style_epochs(ax: Axes, rows: Sequence[EpochRow]) -> None:
    style_axes(ax)
    ax.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)
    first, last = min(row.epoch for row in rows), max(row.epoch for row in rows)
    margin = max((last - first) * 0.04, 0.3)
    ax.set_xlim(first - margin, last + margin)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def _style_losses(ax: Axes, rows: Sequence[EpochRow]) -> None:
    """Let the losses' axis start at zero, or make it logarithmic where they fall by a large factor."""
    losses = [loss for row in rows for loss in (row.training_loss, row.held_out_loss)]
    least, most = min(losses), max(losses)
    if 0 < _LOGARITHMIC_FROM * least <= most:
        ax.set_yscale("log")
        between = (1.0,) if most > _MANY_DECADES * least else (1.0, 2.0, 5.0)
        ax.yaxis.set_major_locator(LogLocator(10, subs=between))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(which="minor", length=0)
    else:
        ax.set_ylim(0, 1.06 * most or 1)


def _style_accuracy(ax: Axes, rows: Sequence[EpochRow]) -> None:
    """Let the accuracies fill their axis, which leaves [0, 1] by no more than half a marker."""
    least, most = min(row.accuracy for row in rows), max(row.accuracy for row in rows)
    margin = max(0.06 * (most - least), 0.01)
    ax.set_ylim(max(least - margin, -margin / 3), min(most + margin, 1 + margin / 3))
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def _texts(results: StudyResults) -> FigureTexts:
    histories = training_histories(results)
    names = ", ".join(shown_network(network) for network in histories)
    epochs = max(row.epoch for row in results.training)
    return FigureTexts(
        heading="Training",
        caption="One line for each network that was trained. The training loss is the mean over an epoch's "
        "steps, while the weights change; the held-out loss and "
        f"{results.terms.accuracy} are those of the weights after it.",
        alt=f"Line charts of training loss, held-out loss and held-out {results.terms.accuracy} up to epoch "
        f"{epochs:,}: one line for each network ({names}).",
    )


TRAINING = ReportFigure(
    "training", training_figure, _texts, lambda results: bool(results.training), brief_bytes=60_000
)
