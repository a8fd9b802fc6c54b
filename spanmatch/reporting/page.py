"""The report as one HTML page without scripts or requests."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from spanmatch.reporting.aggregate import study_epsilons
from spanmatch.reporting.captions import FigureTexts, figure_texts, measure_texts, training_texts
from spanmatch.reporting.definitions import definitions
from spanmatch.reporting.drawn import Drawn
from spanmatch.reporting.embed import inline_svg
from spanmatch.reporting.measure_figure import measure_tables
from spanmatch.reporting.names import shown_network
from spanmatch.reporting.results import NetworkRow, StudyResults
from spanmatch.reporting.style import style_sheet
from spanmatch.reporting.tables import span_text, summary_rows
from spanmatch.reporting.theme import theme_colours
from spanmatch.reporting.warning_words import warning_sentences
from spanmatch.reporting.words import (
    dead_neurons,
    ledger_totals,
    overview_sentence,
    summary_sentences,
)

__all__ = ["PAPER_ADDRESS", "report_page"]

PAPER_ADDRESS = "https://arxiv.org/abs/1810.11750"
_DEFINITIONS_ID = "how-to-read"
_ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


def report_page(results: StudyResults, drawn: Drawn | None = None) -> str:
    """Write the report of a study as one HTML page.

    Parameters
    ----------
    results
        The study's.
    drawn
        Their figures, where some are drawn already.

    Returns
    -------
    str
        A page without scripts or requests, readable on a light and on a dark screen. Equal results give an
        equal page, byte for byte.
    """
    title = f"{escape(results.study)} – how alike are the networks, layer by layer?"
    drawn = drawn or Drawn(results)
    colours = theme_colours(len(study_epsilons(results)))
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title>\n<style>\n{style_sheet(colours)}</style>\n</head>\n<body>\n<main>",
            f"<h1>{title}</h1>",
            *_summary(results),
            *_figures(results, drawn),
            *_similarity_tables(results),
            *_measures(results, drawn),
            *_compared(results),
            *_work_done(results),
            *_definitions(results),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _summary(results: StudyResults) -> list[str]:
    warnings = [f'<p class="warning" role="note">{escape(text)}</p>' for text in warning_sentences(results)]
    sentences = [f"<li>{escape(text)}</li>" for text in summary_sentences(results)]
    guide = f'<a href="#{_DEFINITIONS_ID}">How to read this</a>'
    overview = f"<p>{escape(overview_sentence(results))} {guide}.</p>"
    return [overview, "<h2>In words</h2>", *warnings, "<ul>", *sentences, "</ul>"]


def _figures(results: StudyResults, drawn: Drawn) -> list[str]:
    drawings = [drawn.similarity, drawn.curves, drawn.simple_match_sizes]
    descriptions = [*figure_texts(results)]
    if results.training:
        drawings.append(drawn.training)
        descriptions.append(training_texts(results))
    lines = []
    for number, (figure, texts) in enumerate(zip(drawings, descriptions, strict=True), start=1):
        lines += _figure(results, figure, texts, f"figure{number}")
    return lines


def _figure(results: StudyResults, figure: Figure, texts: FigureTexts, prefix: str) -> list[str]:
    colours = theme_colours(len(study_epsilons(results)))
    svg = inline_svg(figure, alt=texts.alt, prefix=prefix, colours=colours)
    caption = f"<figcaption>{escape(texts.caption)}</figcaption>"
    return [
        f"<h2>{escape(texts.heading)}</h2>",
        f'<figure><div class="wide">{svg}</div>{caption}</figure>',
    ]


def _similarity_tables(results: StudyResults) -> list[str]:
    lines = ["<h2>Mean similarity</h2>"]
    for summary in summary_rows(results):
        caption = f"Mean maximum match similarity by layer and tolerance, group {summary.group}"
        lines.append(_table(caption, summary.header, summary.cells))
    return lines


def _measures(results: StudyResults, drawn: Drawn) -> list[str]:
    tables = measure_tables(results)
    if not tables:
        return []
    return [
        *_figure(results, drawn.measures, measure_texts(results), "measures"),
        *(_table(f"Mean of each measure by layer, group {t.group}", t.header, t.rows) for t in tables),
    ]


def _compared(results: StudyResults) -> list[str]:
    pairs = [
        (comparison.group, comparison.checkpoint_x, comparison.checkpoint_y)
        for comparison in results.comparisons
    ]
    return [
        "<h2>What was compared</h2>",
        '<div class="beside">',
        _network_table(results.networks),
        _table("Pairs that were compared", ("group", "X", "Y"), pairs, names=3),
        "</div>",
        '<div class="beside">',
        _layer_table(results),
        _dead_table(results),
        "</div>",
    ]


def _network_table(rows: Sequence[NetworkRow]) -> str:
    """Tabulate networks; a column that no network fills is left out."""
    columns = {
        "network": [shown_network(row.network) for row in rows],
        "checkpoint": [row.checkpoint for row in rows],
        "epochs": ["" if row.epoch is None else f"{row.epoch:,}" for row in rows],
        "accuracy": ["" if row.accuracy is None else f"{row.accuracy:.2%}" for row in rows],
        "loss": ["" if row.loss is None else f"{row.loss:.4g}" for row in rows],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    cells = [tuple(cell or "–" for cell in row) for row in zip(*filled.values(), strict=True)]
    judged = ", and how they do on held-out images" if "accuracy" in filled else ""
    return _table(f"Networks{judged}", tuple(filled), cells, names=2)


def _layer_table(results: StudyResults) -> str:
    rows = []
    for layer in results.layers:
        own = [row for row in results.similarity if row.layer == layer]
        neurons = [count for row in own for count in (row.neurons_x, row.neurons_y)]
        rows.append((layer, _range_text(neurons), _range_text([row.samples for row in own])))
    return _table("Neurons of a network and samples, by layer", ("layer", "neurons", "samples"), rows)


def _dead_table(results: StudyResults) -> str:
    dead = dead_neurons(results)
    checkpoints = list(dict.fromkeys(checkpoint for _, checkpoint in dead))
    rows = [
        (layer, *(str(dead.get((layer, checkpoint), "–")) for checkpoint in checkpoints))
        for layer in results.layers
    ]
    return _table("Dead neurons of each network, by layer", ("layer", *checkpoints), rows)


def _range_text(counts: Sequence[int]) -> str:
    return span_text(min(counts), max(counts))


def _work_done(results: StudyResults) -> list[str]:
    rows = [
        (stage, *(f"{counts.get(kind, 0):,}" for kind in ("computed", "reused")))
        for stage, counts in results.ledger.items()
    ]
    total = ("all stages", *(f"{count:,}" for count in ledger_totals(results.ledger)))
    caption = "Results computed in this run, and reused from earlier ones"
    return ["<h2>Work done</h2>", _table(caption, ("stage", "computed", "reused"), [*rows, total])]


def _definitions(results: StudyResults) -> list[str]:
    terms = [
        f"<dt>{escape(term)}</dt>\n<dd>{_cited(text)}</dd>" for term, text in definitions(results).items()
    ]
    source = (
        "<p>Definitions that name no other source after L. Wang, L. Hu, J. Gu, Y. Wu, Z. Hu, K. He and "
        "J. Hopcroft, <cite>Towards Understanding Learning Representations: To What Extent Do Different "
        "Neural Networks Learn the Same Representation</cite>, NeurIPS 2018, "
        f'<a href="{PAPER_ADDRESS}">arXiv 1810.11750</a>.</p>'
    )
    return [f'<h2 id="{_DEFINITIONS_ID}">How to read this</h2>', "<dl>", *terms, "</dl>", source]


def _cited(text: str) -> str:
    """Escape a text, and link the papers in it."""
    return _ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">\g<0></a>', escape(text))


def _table(caption: str, header: Iterable[str], rows: Iterable[Sequence[str]], *, names: int = 1) -> str:
    """Mark up a table whose first `names` columns hold names and the others numbers; escapes every cell."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = [
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    ]
    # scrollable by itself and by keyboard, so that a study of many networks does not widen the page
    return "\n".join(
        [
            f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}">',
            f'<table class="names-{names}">',
            f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>",
            *body,
            "</tbody></table></div>",
        ]
    )
