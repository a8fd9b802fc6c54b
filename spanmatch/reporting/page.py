"""The report as one HTML page without scripts or requests."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from html import escape

from spanmatch.reporting.aggregate import study_epsilons
from spanmatch.reporting.covers import span_text
from spanmatch.reporting.definitions import definitions
from spanmatch.reporting.drawn import Drawn
from spanmatch.reporting.evidence_tables import (
    cover_tables,
    growth_tables,
    measure_evidence,
    similarity_evidence,
)
from spanmatch.reporting.figure_registry import shown_figures
from spanmatch.reporting.judged_words import perplexity
from spanmatch.reporting.markup import figure_markup, folded_tables, notes_markup, table_markup
from spanmatch.reporting.names import shown_network, split_layers
from spanmatch.reporting.results import NetworkRow, StudyResults, Terms
from spanmatch.reporting.style import style_sheet
from spanmatch.reporting.tables import mark_sentences, measure_tables, summary_rows
from spanmatch.reporting.theme import ThemeColour, theme_colours
from spanmatch.reporting.warning_words import warning_sentences
from spanmatch.reporting.words import (
    dead_neurons,
    ledger_totals,
    overview_sentence,
    summary_sentences,
)

__all__ = ["PAPER_ADDRESS", "page_around", "report_page"]

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
    return page_around(results, drawn or Drawn(results))


def page_around(
    results: StudyResults,
    drawn: Drawn,
    *,
    head: Sequence[str] = (),
    first: Sequence[str] = (),
    last: Sequence[str] = (),
) -> str:
    """Write the report page with more markup at the end of its head, before its figures and at its end."""
    title = f"{escape(results.study)} – how alike are the networks, layer by layer?"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title>\n<style>\n{style_sheet(_colours(results))}</style>",
            *head,
            f"</head>\n<body>\n<main>\n<h1>{title}</h1>",
            _overview(results),
            *first,
            '<div class="column">',
            *_summary(results),
            *_figures(results, drawn),
            *_similarity_tables(results),
            *_measures(results),
            *_settled(results),
            *_simple_matches(results),
            *_compared(results),
            *_work_done(results),
            *_definitions(results),
            "</div>\n</main>",
            *last,
            "</body>\n</html>\n",
        ]
    )


def _overview(results: StudyResults) -> str:
    guide = f'<a href="#{_DEFINITIONS_ID}">How to read this</a>'
    return f"<p>{escape(overview_sentence(results))} {guide}.</p>"


def _summary(results: StudyResults) -> list[str]:
    warnings = [f'<p class="warning" role="note">{escape(text)}</p>' for text in warning_sentences(results)]
    sentences = [f"<li>{escape(text)}</li>" for text in summary_sentences(results)]
    return ["<h2>In words</h2>", *warnings, "<ul>", *sentences, "</ul>"]


def _figures(results: StudyResults, drawn: Drawn) -> list[str]:
    colours = _colours(results)
    lines = []
    for figure in shown_figures(results):
        lines += figure_markup(drawn.figure(figure.name), figure.texts(results), figure.name, colours)
    return lines


def _colours(results: StudyResults) -> tuple[ThemeColour, ...]:
    return theme_colours(len(study_epsilons(results)), len(results.layers) if results.growth else 0)


def _similarity_tables(results: StudyResults) -> list[str]:
    lines = ["<h2>Mean similarity</h2>"]
    lines.append('<div class="beside">')
    for summary in summary_rows(results):
        caption = f"Mean maximum match similarity by layer and tolerance, group {summary.title}"
        lines.append(table_markup(caption, summary.header, summary.cells))
    lines.append("</div>")
    lines += notes_markup(mark_sentences(results))
    if evidence := similarity_evidence(results):
        lines.append("<h2>What similarity stands on</h2>")
        lines += folded_tables(evidence, "The other tolerances")
    return lines


def _measures(results: StudyResults) -> list[str]:
    tables = measure_tables(results)
    if not tables:
        return []
    lines = ["<h2>Mean of each measure</h2>"]
    for table in tables:
        caption = f"Mean of each measure by layer, group {table.group}"
        lines += [table_markup(caption, table.header, table.rows), *notes_markup(table.notes)]
    return lines + folded_tables(measure_evidence(results), "What each value stands on")


def _settled(results: StudyResults) -> list[str]:
    tables = growth_tables(results)
    remedy = f"use more {results.terms.items}"
    note = f"Still falling or still rising: {remedy}. Undefined: without an error it cannot be told."
    return ["<h2>Has it settled?</h2>", *folded_tables(tables, ""), *notes_markup([note])] if tables else []


def _simple_matches(results: StudyResults) -> list[str]:
    tables = cover_tables(results)
    if not tables:
        return []
    note = (
        "Simple matches: those of one cover of the maximum match, from the fewest to the most over orders of "
        "searching, of all pairs together; in every order: the share of them that every order finds; "
        f"permuted: how many there are with the {results.terms.items} of one network permuted, by chance "
        "alone. Neurons with essential ones cannot match without another neuron; a component holds neurons "
        "that cannot match without each other: their number and the neurons of the largest, as a range over "
        "the pairs."
    )
    lines = ["<h2>How free simple matches are</h2>", *notes_markup([note])]
    return lines + folded_tables(tables, "The other tolerances")


def _compared(results: StudyResults) -> list[str]:
    pairs = [
        (comparison.group, comparison.checkpoint_x, comparison.checkpoint_y)
        for comparison in results.comparisons
    ]
    return [
        "<h2>What was compared</h2>",
        '<div class="beside">',
        _network_table(results.networks, results.terms),
        table_markup("Pairs that were compared", ("group", "X", "Y"), pairs, names=3),
        "</div>",
        '<div class="beside">',
        _layer_table(results),
        _dead_table(results),
        "</div>",
    ]


def _network_table(rows: Sequence[NetworkRow], terms: Terms) -> str:
    """Tabulate networks; a column that no network fills is left out."""
    columns = {
        "network": [shown_network(row.network) for row in rows],
        "checkpoint": [row.checkpoint for row in rows],
        "epochs": ["" if row.epoch is None else f"{row.epoch:,}" for row in rows],
        terms.accuracy: ["" if row.accuracy is None else f"{row.accuracy:.2%}" for row in rows],
        "loss": ["" if row.loss is None else f"{row.loss:.4g}" for row in rows],
        "perplexity": [perplexity(row.loss) if terms.perplexity else "" for row in rows],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    cells = [tuple(cell or "–" for cell in row) for row in zip(*filled.values(), strict=True)]
    judged = f", and how they do on held-out {terms.items}" if terms.accuracy in filled else ""
    return table_markup(f"Networks{judged}", tuple(filled), cells, names=2)


def _layer_table(results: StudyResults) -> str:
    neurons: dict[str, set[int]] = defaultdict(set)
    samples: dict[str, set[int]] = defaultdict(set)
    for row in results.similarity:
        for layer, count in zip(split_layers(row.layer), (row.neurons_x, row.neurons_y), strict=True):
            neurons[layer].add(count)
            samples[layer].add(row.samples)
    rows = [(layer, _range_text(neurons[layer]), _range_text(samples[layer])) for layer in neurons]
    return table_markup("Neurons of a network and samples, by layer", ("layer", "neurons", "samples"), rows)


def _dead_table(results: StudyResults) -> str:
    dead = dead_neurons(results)
    checkpoints = list(dict.fromkeys(checkpoint for _, checkpoint in dead))
    rows = [
        (layer, *(str(dead.get((layer, checkpoint), "–")) for checkpoint in checkpoints))
        for layer in dict.fromkeys(layer for layer, _ in dead)
    ]
    return table_markup("Dead neurons of each network, by layer", ("layer", *checkpoints), rows)


def _range_text(counts: Collection[int]) -> str:
    return span_text(min(counts), max(counts))


def _work_done(results: StudyResults) -> list[str]:
    rows = [
        (stage, *(f"{counts.get(kind, 0):,}" for kind in ("computed", "reused")))
        for stage, counts in results.ledger.items()
    ]
    total = ("all stages", *(f"{count:,}" for count in ledger_totals(results.ledger)))
    caption = "Results computed in this run, and reused from earlier ones"
    return ["<h2>Work done</h2>", table_markup(caption, ("stage", "computed", "reused"), [*rows, total])]


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
