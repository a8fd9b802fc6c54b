"""Headings, captions and alternative texts of the figures on the page."""

from dataclasses import dataclass

from spanmatch.reporting.aggregate import group_names, study_epsilons, training_histories
from spanmatch.reporting.measure_figure import shown_measures
from spanmatch.reporting.names import shown_network
from spanmatch.reporting.results import StudyResults

__all__ = ["FigureTexts", "figure_texts", "measure_texts", "training_texts"]

_SIZES_CAPTION = (
    "Neurons of both networks in a simple match, in bins that double. The number above a column counts the "
    "layer's simple matches, 0 for none; each bar's width is its share of them, narrower in proportion where "
    "there are fewer than eight. Each match counts once, and the pairs of a group are taken together."
)


@dataclass(frozen=True)
class FigureTexts:
    """What stands around one figure, as plain text."""

    heading: str
    caption: str
    alt: str


def figure_texts(results: StudyResults) -> tuple[FigureTexts, FigureTexts, FigureTexts]:
    """Describe the figures along the layers, over all tolerances, and of the sizes of simple matches."""
    layers, groups = ", ".join(results.layers), ", ".join(group_names(results))
    epsilons = ", ".join(f"{epsilon:g}" for epsilon in study_epsilons(results))
    along_layers = FigureTexts(
        heading="Similarity along the layers",
        caption="Mean over the pairs of a group; the band runs from the least to the most similar pair.",
        alt=f"Line chart of maximum match similarity, from 0 to 1, along the layers {layers}: one line for "
        f"each tolerance ({epsilons}), one panel for each group ({groups}). A table below holds the means.",
    )
    curves = FigureTexts(
        heading="Similarity at every tolerance",
        caption="One line for each pair. The vertical hairlines are the study's tolerances.",
        alt="Step curves of maximum match similarity against the tolerance, both from 0 to 1: one panel for "
        f"each layer ({layers}), one line for each pair, coloured by group ({groups}).",
    )
    sizes = FigureTexts(
        heading="Sizes of simple matches",
        caption=_SIZES_CAPTION if results.simple_matches else "The results hold no simple matches.",
        alt=f"Histograms of the number of neurons in a simple match for the layers {layers}: one row of "
        f"panels for each tolerance ({epsilons}), one column for each group ({groups}).",
    )
    return along_layers, curves, sizes


def measure_texts(results: StudyResults) -> FigureTexts:
    """Describe the figure of all measures."""
    measures = shown_measures(results)
    names = ", ".join(measure.label for measure in measures)
    caption = (
        "One panel for each measure. Mean over the pairs of a group; the band runs from the pair with the "
        "lowest to the pair with the highest value."
    )
    at_epsilon = [f"{measure.label} at {measure.note}" for measure in measures if measure.note]
    if at_epsilon:
        caption += f" Where there is one value for each tolerance, the middle one: {', '.join(at_epsilon)}."
    if any(row.value is None for row in results.measures):
        caption += " A pair for which a measure is undefined is left out of it."
    return FigureTexts(
        heading="Measures along the layers",
        caption=caption,
        alt=f"Line charts along the layers {', '.join(results.layers)}: one panel for each measure "
        f"({names}), one line for each group ({', '.join(group_names(results))}). A table below holds "
        "the means.",
    )


def training_texts(results: StudyResults) -> FigureTexts:
    """Describe the figure of losses and accuracy."""
    histories = training_histories(results)
    names = ", ".join(shown_network(network) for network in histories)
    epochs = max(row.epoch for row in results.training)
    return FigureTexts(
        heading="Training",
        caption="One line for each network that was trained. The training loss is the mean over an epoch's "
        "steps, while the weights change; the held-out loss and accuracy are those of the weights after it.",
        alt=f"Line charts of training loss, held-out loss and held-out accuracy up to epoch {epochs:,}: one "
        f"line for each network ({names}).",
    )
