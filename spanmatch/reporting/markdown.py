"""The report in brief, as Markdown for a dashboard.

A dashboard keeps what it is given in its database, so images have a limit of bytes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from spanmatch.reporting.drawn import Drawn
from spanmatch.reporting.embed import png_data_uri
from spanmatch.reporting.evidence_tables import similarity_evidence
from spanmatch.reporting.figure_registry import shown_figures
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.tables import mark_sentences, measure_tables, summary_rows
from spanmatch.reporting.warning_words import warning_sentences
from spanmatch.reporting.words import summary_sentences

__all__ = ["failure_markdown", "report_markdown"]

_MAX_IMAGE_BYTES = 300_000  # of all figures together
_TOO_LARGE = "This figure has too many panels to be read here; it stands in the report."

# Underscores inside a word mean nothing in Markdown, and layers are full of them
_SPECIAL = re.compile(r"[\\`*\[\]|~$#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def report_markdown(
    results: StudyResults, request: Sequence[str] = (), drawn: Drawn | None = None, *, whole: str = ""
) -> str:
    """Write a study's figures, mean similarities and ledger as Markdown, the figures as inline PNG images.

    The figures are those that have a share of the bytes in the registry.

    Parameters
    ----------
    results
        The study's.
    request
        What was asked for, in sentences; it stands at the end.
    drawn
        The results' figures, where some are drawn already.
    whole
        A sentence that says where the whole report is.
    """
    drawn = drawn or Drawn(results)
    warnings = [f"> **Note** {_escape(text)}\n" for text in warning_sentences(results)]
    sentences = [f"- {_escape(text)}" for text in (*summary_sentences(results), whole) if text]
    lines = [f"# {_escape(results.study)}\n", *warnings, *sentences, "", *_figures(results, drawn)]
    for summary in summary_rows(results):
        lines += [f"## Mean maximum match similarity, group {_escape(summary.title)}\n"]
        lines += [*_table(summary.header, summary.cells), ""]
    lines += [f"{_escape(note)}\n" for note in mark_sentences(results)]
    for evidence in similarity_evidence(results):
        if evidence.foremost:
            lines += [f"## {_escape(evidence.caption)}\n", *_table(evidence.header, evidence.rows), ""]
    for table in measure_tables(results):
        lines += [f"## Mean of each measure, group {_escape(table.group)}\n"]
        lines += [*_table(table.header, table.rows), "", *(f"{_escape(note)}\n" for note in table.notes)]
    return "\n".join([*lines, *_work(results.ledger), *_requested(request)])


def _figures(results: StudyResults, drawn: Drawn) -> list[str]:
    """Embed the figures that have a share of the bytes; the first may take what the others leave.

    Of one that does not fit it is said.
    """
    first, *others = [figure for figure in shown_figures(results) if figure.brief_bytes]
    images = {one.name: png_data_uri(drawn.figure(one.name), max_bytes=one.brief_bytes) for one in others}
    left = _MAX_IMAGE_BYTES - sum(len(image) for image in images.values() if image)
    images = {first.name: png_data_uri(drawn.figure(first.name), max_bytes=left), **images}
    lines = []
    for figure in (first, *others):
        heading, image = _escape(figure.texts(results).heading), images[figure.name]
        lines.append(f"## {heading}\n\n{f'![{heading}]({image})' if image else _TOO_LARGE}\n")
    return lines


def failure_markdown(
    study: str,
    reason: str,
    remedy: str,
    ledger: Mapping[str, Mapping[str, int]],
    request: Sequence[str],
) -> str:
    """Write why a run came to no results, what to do, what it had done until then, and what was asked for."""
    quoted = [f"> {_escape(line)}\n" for line in reason.splitlines()]
    lines = [f"# {_escape(study)}: no results\n", *quoted, "## What to do\n", f"{_escape(remedy)}\n"]
    return "\n".join([*lines, *_work(ledger), *_requested(request)])


def _work(ledger: Mapping[str, Mapping[str, int]]) -> list[str]:
    if not ledger:
        return []
    columns = ["computed", "reused"]
    if any("undone" in counts for counts in ledger.values()):
        columns.append("undone")
    rows = [(stage, *(str(counts.get(column, 0)) for column in columns)) for stage, counts in ledger.items()]
    totals = (str(sum(counts.get(column, 0) for counts in ledger.values())) for column in columns)
    return ["## Work done\n", *_table(("stage", *columns), [*rows, ("all stages", *totals)]), ""]


def _requested(request: Sequence[str]) -> list[str]:
    return ["## Asked for\n", *(f"- {_escape(line)}" for line in request), ""] if request else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = "| --- |" + " ---: |" * (len(header) - 1)
    return [_line(header), rule, *(_line(row) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Make a name stand for itself: neither HTML nor Markdown, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))
