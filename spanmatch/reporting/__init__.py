"""Reports of a study: frozen results in, figures and text out.

Apart from the mathematics and from storage: nothing here computes a match, opens a file or knows a path.
"""

from spanmatch.reporting.drawn import Drawn
from spanmatch.reporting.figures import curves_figure, similarity_figure, simple_match_sizes_figure
from spanmatch.reporting.markdown import failure_markdown, report_markdown
from spanmatch.reporting.measure_figure import measures_figure
from spanmatch.reporting.names import shown_network
from spanmatch.reporting.page import report_page
from spanmatch.reporting.results import (
    ComparisonRow,
    CriticalEpsilons,
    EpochRow,
    MeasureRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
)
from spanmatch.reporting.tables import SummaryTable, similarity_table, summary_rows
from spanmatch.reporting.training_curves import training_figure
from spanmatch.reporting.warning_words import left_out_sentences, offset_sentences, warning_sentences

__all__ = [
    "ComparisonRow",
    "CriticalEpsilons",
    "Drawn",
    "EpochRow",
    "MeasureRow",
    "NetworkRow",
    "SimilarityRow",
    "SimpleMatchRow",
    "StudyResults",
    "SummaryTable",
    "curves_figure",
    "failure_markdown",
    "left_out_sentences",
    "measures_figure",
    "offset_sentences",
    "report_markdown",
    "report_page",
    "shown_network",
    "similarity_figure",
    "similarity_table",
    "simple_match_sizes_figure",
    "summary_rows",
    "training_figure",
    "warning_sentences",
]
