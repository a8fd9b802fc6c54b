"""Reports of a study: frozen results in, figures and text out.

Nothing here computes a match, opens a file or knows a path.
"""

from typing import TYPE_CHECKING

from spanmatch.lazy import lazy

if TYPE_CHECKING:
    from spanmatch.reporting.along_layers import similarity_figure as similarity_figure
    from spanmatch.reporting.drawn import Drawn as Drawn
    from spanmatch.reporting.explorer.interactive import explorer_page as explorer_page
    from spanmatch.reporting.grid_figures import (
        measure_grids_figure as measure_grids_figure,
        similarity_grids_figure as similarity_grids_figure,
    )
    from spanmatch.reporting.grid_words import grid_sentences as grid_sentences
    from spanmatch.reporting.growth_curves import growth_figure as growth_figure
    from spanmatch.reporting.markdown import (
        failure_markdown as failure_markdown,
        report_markdown as report_markdown,
    )
    from spanmatch.reporting.judged_words import judged_line as judged_line
    from spanmatch.reporting.match_sizes import simple_match_sizes_figure as simple_match_sizes_figure
    from spanmatch.reporting.measure_figure import measures_figure as measures_figure
    from spanmatch.reporting.names import shown_network as shown_network
    from spanmatch.reporting.over_epsilon import curves_figure as curves_figure
    from spanmatch.reporting.page import report_page as report_page
    from spanmatch.reporting.results import (
        ComparisonRow as ComparisonRow,
        CoverRow as CoverRow,
        CriticalEpsilons as CriticalEpsilons,
        EpochRow as EpochRow,
        EssentialRow as EssentialRow,
        Exemplars as Exemplars,
        GrowthRow as GrowthRow,
        MeasureRow as MeasureRow,
        NetworkRow as NetworkRow,
        Shown as Shown,
        SimilarityRow as SimilarityRow,
        SimpleMatchRow as SimpleMatchRow,
        StudyResults as StudyResults,
        Terms as Terms,
    )
    from spanmatch.reporting.tables import (
        SummaryTable as SummaryTable,
        mark_sentences as mark_sentences,
        similarity_table as similarity_table,
        summary_rows as summary_rows,
    )
    from spanmatch.reporting.training_curves import training_figure as training_figure
    from spanmatch.reporting.warning_words import (
        left_out_sentences as left_out_sentences,
        offset_sentences as offset_sentences,
        warning_sentences as warning_sentences,
    )
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "spanmatch.reporting.along_layers": "similarity_figure",
            "spanmatch.reporting.drawn": "Drawn",
            "spanmatch.reporting.explorer.interactive": "explorer_page",
            "spanmatch.reporting.grid_figures": "measure_grids_figure similarity_grids_figure",
            "spanmatch.reporting.grid_words": "grid_sentences",
            "spanmatch.reporting.growth_curves": "growth_figure",
            "spanmatch.reporting.markdown": "failure_markdown report_markdown",
            "spanmatch.reporting.judged_words": "judged_line",
            "spanmatch.reporting.match_sizes": "simple_match_sizes_figure",
            "spanmatch.reporting.measure_figure": "measures_figure",
            "spanmatch.reporting.names": "shown_network",
            "spanmatch.reporting.over_epsilon": "curves_figure",
            "spanmatch.reporting.page": "report_page",
            "spanmatch.reporting.results": (
                "ComparisonRow CoverRow CriticalEpsilons EpochRow EssentialRow Exemplars GrowthRow "
                "MeasureRow NetworkRow Shown SimilarityRow SimpleMatchRow StudyResults Terms"
            ),
            "spanmatch.reporting.tables": "SummaryTable mark_sentences similarity_table summary_rows",
            "spanmatch.reporting.training_curves": "training_figure",
            "spanmatch.reporting.warning_words": "left_out_sentences offset_sentences warning_sentences",
        },
        extra="report",
    )
