"""Tables and figures of the page as HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from spanmatch.reporting.embed import inline_svg
from spanmatch.reporting.evidence_tables import TextTable
from spanmatch.reporting.report_figure import FigureTexts
from spanmatch.reporting.theme import ThemeColour

__all__ = ["figure_markup", "folded_tables", "notes_markup", "table_markup"]


def figure_markup(
    figure: Figure, texts: FigureTexts, prefix: str, colours: Sequence[ThemeColour]
) -> list[str]:
    """Mark up a figure with its heading and caption."""
    svg = inline_svg(figure, alt=texts.alt, prefix=prefix, colours=colours)
    caption = f"<figcaption>{escape(texts.caption)}</figcaption>"
    return [
        f"<h2>{escape(texts.heading)}</h2>",
        f'<figure><div class="wide">{svg}</div>{caption}</figure>',
    ]


def folded_tables(tables: Iterable[TextTable], summary: str) -> list[str]:
    """Mark up tables: the foremost at once, the others below a line that opens them."""
    marked = [
        (table.foremost, table_markup(table.caption, table.header, table.rows, names=table.names))
        for table in tables
    ]
    folded = [markup for foremost, markup in marked if not foremost]
    lines = [markup for foremost, markup in marked if foremost]
    if folded:
        lines += [f"<details><summary>{escape(summary)}</summary>", *folded, "</details>"]
    return lines


def notes_markup(notes: Iterable[str]) -> list[str]:
    """Mark up notes below a table."""
    return [f'<p class="note">{escape(note)}</p>' for note in notes]


def table_markup(
    caption: str, header: Iterable[str], rows: Iterable[Sequence[str]], *, names: int = 1
) -> str:
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
